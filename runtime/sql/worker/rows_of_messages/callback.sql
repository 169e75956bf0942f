-- claims, after a claim by key: why some were not won. What is read here decides only what becomes of a message.
SELECT callback_id::varchar AS key, job_id, job_type AS type, status, lease_number, status = 'queued' AS waiting
FROM app.callbacks WHERE callback_id = ANY(%(keys)s::bigint[])
