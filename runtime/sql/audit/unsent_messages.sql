-- audit GAP-30: a live worker whose relay could not send for a while, or rows whose messages should have been sent to
-- its broker long ago. Reads the partial indexes of the queues; takes no lock.
WITH alive AS (
  SELECT worker, bus, unsent_s, seen_at FROM app.workers
  WHERE stopped_at IS NULL AND bus <> 'postgres' AND seen_at > app.clock() - make_interval(secs => %(alive)s)
), found AS (
  SELECT NULL::varchar AS job_id, 'worker ' || worker AS subject, seen_at - make_interval(secs => unsent_s) AS since,
         'bus ' || bus || ': nothing could be sent for ' || round(unsent_s) || ' s' AS detail
  FROM alive WHERE unsent_s > %(unsent)s
  UNION ALL
  SELECT due.job_id, due.subject, due.due_at, 'type ' || due.type || ' is not sent' FROM app.waiting_rows AS due
  WHERE due.due_at <= app.clock() - make_interval(secs => %(unsent)s) AND EXISTS (SELECT FROM alive)
)
SELECT job_id, subject, detail, since, count(*) OVER () AS found FROM found ORDER BY since LIMIT %(examples)s
