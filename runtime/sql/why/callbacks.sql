-- why: the open callbacks of a completed job.
SELECT name, status, attempt, max_attempts, lease_owner, lease_number, lease_expires_at, due_at, send_number
FROM app.callbacks WHERE job_id = %(job_id)s ORDER BY callback_id
