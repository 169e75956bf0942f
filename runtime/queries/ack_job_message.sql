-- flow: the message has been handled. One that was posted meanwhile carries no owner, and stays. Where it led to new tasks,
-- the next stage numbers its own from here.
UPDATE app.jobs SET due_at = NULL, put_offs = NULL, lease_owner = NULL, lease_expires_at = NULL,
                    tasks_total = tasks_total + %(tasks)s
WHERE job_id = %(job_id)s AND lease_number = %(lease_number)s AND lease_owner IS NOT NULL AND status = 'processing'
RETURNING job_id
