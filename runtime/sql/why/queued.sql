-- why: the tasks of a stage that wait for a worker, those whose messages a broker has, and those that are due later,
-- soonest first.
SELECT t.due_at <= app.clock() AS due, t.due_at > app.clock() AND t.send_number > 0 AS sent, count(*) AS tasks, min(t.due_at) AS due_at,
       (array_agg(t.task_number ORDER BY t.due_at, t.task_number))[1] AS task_number,
       (array_agg(t.attempt ORDER BY t.due_at, t.task_number))[1] AS attempt,
       (array_agg(t.max_attempts ORDER BY t.due_at, t.task_number))[1] AS max_attempts,
       EXISTS (SELECT FROM app.tasks AS r WHERE r.status = 'processing' AND r.task_type = %(task_type)s
               AND r.lease_expires_at > app.clock()) AS moving
FROM app.tasks AS t WHERE t.stage_id = %(stage_id)s AND t.status = 'queued'
GROUP BY 1, 2 ORDER BY due DESC, sent DESC
