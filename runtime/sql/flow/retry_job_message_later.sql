-- put_off, under the job's lock: a message that could not be handled comes again later; how often that was is counted.
UPDATE app.jobs SET put_offs = COALESCE(put_offs, 0) + 1, due_at = app.clock() + make_interval(secs => %(delay)s), lease_owner = NULL, lease_expires_at = NULL
WHERE job_id = %(job_id)s AND lease_number = %(lease_number)s AND lease_owner IS NOT NULL
