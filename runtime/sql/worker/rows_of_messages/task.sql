-- claims, after a claim by key: why some were not won. What is read here decides only what becomes of a message.
SELECT task_id AS key, job_id, task_type AS type, status, lease_number, status = 'queued' AS waiting
FROM app.tasks WHERE task_id = ANY(%(keys)s::varchar[])
