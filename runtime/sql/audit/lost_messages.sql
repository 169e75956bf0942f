-- audit GAP-8: rows that somebody should have come for. Reads the partial indexes on due_at; takes no lock.
WITH due AS (
  SELECT job_id, 'job' AS subject, job_type AS kind, due_at FROM app.jobs
  WHERE due_at <= app.clock() - make_interval(secs => %(overdue)s)
  UNION ALL
  SELECT job_id, 'task ' || task_id, task_type, due_at FROM app.tasks
  WHERE status = 'queued' AND due_at <= app.clock() - make_interval(secs => %(overdue)s)
  UNION ALL
  SELECT job_id, 'callback ' || name, job_type, due_at FROM app.callbacks
  WHERE status = 'queued' AND due_at <= app.clock() - make_interval(secs => %(overdue)s)
), alive AS (
  SELECT count(*) AS workers FROM app.workers
  WHERE stopped_at IS NULL AND seen_at > app.clock() - make_interval(secs => %(alive)s)
)
SELECT due.job_id, due.subject, due.due_at AS since, count(*) OVER () AS found,
       'type ' || due.kind || CASE alive.workers WHEN 0 THEN '; no worker is alive'
                                                 ELSE '; workers alive: ' || alive.workers END AS detail
FROM due CROSS JOIN alive ORDER BY due.due_at LIMIT %(examples)s
