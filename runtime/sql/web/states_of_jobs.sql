-- web: how many jobs, stages and callbacks are in each state, and how many tasks as the stages have counted them.
SELECT 'job' AS machine, status, count(*) AS number FROM app.jobs GROUP BY status
UNION ALL
SELECT 'stage', status, count(*) FROM app.stages GROUP BY status
UNION ALL
SELECT 'callback', status, count(*) FROM app.callbacks GROUP BY status
UNION ALL
SELECT 'task', status, count(*) FROM app.tasks WHERE status = 'queued' GROUP BY status
UNION ALL
SELECT 'task', status, count(*) FROM app.tasks WHERE status = 'processing' GROUP BY status
UNION ALL
SELECT 'task', s.status, sum(s.number) FROM app.stages AS t
CROSS JOIN LATERAL (VALUES ('completed', t.tasks_completed), ('failed', t.tasks_failed), ('cancelled', t.tasks_cancelled))
  AS s (status, number)
GROUP BY s.status HAVING sum(s.number) > 0
