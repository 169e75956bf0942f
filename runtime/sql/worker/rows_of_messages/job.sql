-- claims, after a claim by key: why some were not won. What is read here decides only what becomes of a message.
SELECT job_id AS key, job_id, job_type AS type, status, lease_number, due_at IS NOT NULL AND lease_owner IS NULL AS waiting
FROM app.jobs WHERE job_id = ANY(%(keys)s::varchar[])
