-- advance, under the job's lock, in the transaction that closed the stage: somebody is to come for the job.
UPDATE app.jobs SET due_at = app.clock(), lease_owner = NULL, lease_expires_at = NULL
WHERE job_id = %(job_id)s AND status = 'processing'
RETURNING job_id
