-- soak: every callback of a job that has ended, for its check. Reads one snapshot; takes no lock.
SELECT callback_id, name, status, attempt, max_attempts, rescues, max_rescues, lease_number
FROM app.callbacks WHERE job_id = %(job_id)s ORDER BY callback_id
