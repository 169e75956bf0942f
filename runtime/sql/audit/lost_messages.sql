-- audit GAP-8: rows that a worker should have claimed. Reads the partial indexes of the queues; takes no lock.
WITH alive AS (
  SELECT count(*) AS workers FROM app.workers
  WHERE stopped_at IS NULL AND seen_at > app.clock() - make_interval(secs => %(alive)s)
    AND NOT loops @? '$.*.stuck_s'
)
SELECT due.job_id, due.subject, due.due_at AS since, count(*) OVER () AS found,
       'type ' || due.type || CASE alive.workers WHEN 0 THEN '; no worker is alive'
                                                 ELSE '; workers alive: ' || alive.workers END AS detail
FROM app.waiting_rows AS due CROSS JOIN alive
WHERE due.due_at <= app.clock() - make_interval(secs => %(overdue)s)
ORDER BY due.due_at LIMIT %(examples)s
