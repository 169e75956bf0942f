-- run_task, after the parents: a renewal that came first has saved the task; one that comes now waits, and loses.
SELECT task_id AS key FROM app.tasks
WHERE task_id = ANY(%(task_ids)s::varchar[]) AND status = 'processing' AND lease_expires_at <= app.clock()
ORDER BY task_id FOR NO KEY UPDATE
