-- why: the workers that hold tasks of a stage, and until when; tasks with an expired lease separately. Reads one
-- stage's range of the index.
SELECT t.lease_owner, t.lease_expires_at <= app.clock() AS expired, count(*) AS tasks,
       min(t.task_number) AS task_number, (array_agg(t.lease_number ORDER BY t.task_number))[1:5] AS lease_numbers,
       min(t.lease_expires_at) AS lease_expires_at, min(t.deadline_at) AS deadline_at
FROM app.tasks AS t WHERE t.stage_id = %(stage_id)s AND t.status = 'processing'
GROUP BY t.lease_owner, t.lease_expires_at <= app.clock() ORDER BY min(t.task_number)
