-- worker on a broker: the message came to one who does not declare the job's type; it is sent again later. The send number
-- rises, so that the relay that sent it no longer confirms.
UPDATE app.jobs SET due_at = app.clock() + make_interval(secs => %(delay)s), send_number = send_number + 1
WHERE job_id = %(key)s AND lease_number = %(lease_number)s AND due_at IS NOT NULL AND lease_owner IS NULL
RETURNING job_id AS key
