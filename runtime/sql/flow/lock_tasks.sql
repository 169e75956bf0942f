-- record_outcomes, after the parents: the current rows of tasks whose outcome depends on other rows too. A renewal that was
-- first has saved an expired one; a later renewal waits, and loses. Found by their keys.
SELECT task_id AS key, lease_number, status = 'processing' AS leased, lease_expires_at <= app.clock() AS expired
FROM app.tasks WHERE task_id = ANY(ARRAY(SELECT unnest(%(task_ids)s::varchar[])))
ORDER BY task_id FOR NO KEY UPDATE
