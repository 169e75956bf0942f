-- audit GAP-30: rows whose messages should have been sent to a broker, and were not: a living worker has that bus, and its
-- relay does not send. Reads the partial indexes on due_at; takes no lock.
WITH due AS (
  SELECT job_id, 'job' AS subject, job_type AS kind, due_at FROM app.jobs
  WHERE due_at <= app.clock() - make_interval(secs => %(unsent)s)
  UNION ALL
  SELECT job_id, 'task ' || task_id, task_type, due_at FROM app.tasks
  WHERE status = 'queued' AND due_at <= app.clock() - make_interval(secs => %(unsent)s)
  UNION ALL
  SELECT job_id, 'callback ' || name, job_type, due_at FROM app.callbacks
  WHERE status = 'queued' AND due_at <= app.clock() - make_interval(secs => %(unsent)s)
), alive AS (
  SELECT max(bus) FILTER (WHERE bus <> 'postgres') AS bus, max(unsent_s) AS unsent_s FROM app.workers
  WHERE stopped_at IS NULL AND seen_at > app.clock() - make_interval(secs => %(alive)s)
)
SELECT due.job_id, due.subject, due.due_at AS since, count(*) OVER () AS found,
       'type ' || due.kind || '; bus ' || alive.bus || '; a relay says: overdue for '
       || COALESCE(round(alive.unsent_s)::varchar || ' s', 'no time') AS detail
FROM due CROSS JOIN alive WHERE alive.bus IS NOT NULL ORDER BY due.due_at LIMIT %(examples)s
