-- flow: a message that could not be handled comes again later, unless another has taken its place.
UPDATE app.jobs SET due_at = app.clock() + make_interval(secs => %(delay)s), lease_owner = NULL, lease_expires_at = NULL
WHERE job_id = %(job_id)s AND lease_number = %(lease_number)s AND lease_owner IS NOT NULL
