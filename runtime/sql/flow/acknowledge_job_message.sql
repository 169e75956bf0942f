-- flow: the message has been handled. One that was posted meanwhile carries no owner, and stays.
UPDATE app.jobs SET due_at = NULL, put_offs = NULL, lease_owner = NULL, lease_expires_at = NULL
WHERE job_id = %(job_id)s AND lease_number = %(lease_number)s AND lease_owner IS NOT NULL AND status = 'processing'
RETURNING job_id
