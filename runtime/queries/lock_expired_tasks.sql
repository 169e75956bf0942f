-- run_task, after the parents: a renewal that came first has saved the task; one that comes now waits, and loses.
-- The rows are found by their keys: the state is written so that no partial index answers it.
SELECT task_id AS key FROM app.tasks
WHERE task_id = ANY(ARRAY(SELECT unnest(%(task_ids)s::varchar[]))) AND status = ANY((SELECT ARRAY['processing'])::varchar[])
  AND lease_expires_at <= app.clock()
ORDER BY task_id FOR NO KEY UPDATE
