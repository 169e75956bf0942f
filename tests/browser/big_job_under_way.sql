DELETE FROM app.job_events AS e USING app.tasks AS t
WHERE t.task_id = e.task_id AND t.job_id = %(job)s::varchar AND t.stage = 2 AND t.task_index >= %(tasks)s::int / 2;

DELETE FROM app.job_events WHERE job_id = %(job)s::varchar AND event_type IN ('job_failed', 'stage_failed', 'stage_cancelled');

UPDATE app.tasks
SET status = 'queued', due_at = created_at, result = NULL, error = NULL, started_at = NULL, finished_at = NULL, attempt = 1,
    lease_number = 0
WHERE job_id = %(job)s::varchar AND stage = 2 AND task_index >= %(tasks)s::int / 2;

UPDATE app.stages AS s
SET status = CASE s.stage WHEN 2 THEN 'processing' ELSE 'pending' END, finished_at = NULL, error = NULL,
    tasks_completed = c.completed, tasks_failed = 0
FROM (SELECT count(*) FILTER (WHERE status = 'completed') AS completed FROM app.tasks
      WHERE job_id = %(job)s::varchar AND stage = 2) AS c
WHERE s.job_id = %(job)s::varchar AND s.stage = 2;

UPDATE app.stages SET status = 'pending', finished_at = NULL WHERE job_id = %(job)s::varchar AND stage = 3;

UPDATE app.jobs SET status = 'processing', finished_at = NULL, error = NULL WHERE job_id = %(job)s::varchar;
