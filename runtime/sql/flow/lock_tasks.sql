-- run_task, after the parents: the tasks whose outcome depends on more than themselves, as they stand. A renewal that came
-- first has saved an expired one; one that comes now waits, and loses. Found by their keys.
SELECT task_id AS key, lease_number, status = 'processing' AS leased, lease_expires_at <= app.clock() AS expired
FROM app.tasks WHERE task_id = ANY(ARRAY(SELECT unnest(%(task_ids)s::varchar[])))
ORDER BY task_id FOR NO KEY UPDATE
