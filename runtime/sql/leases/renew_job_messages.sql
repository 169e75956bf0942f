-- renewer: a message that is being handled is not due.
-- Rows that somebody is moving are passed over, not waited for: a renewal that waits holds others, and could do so in a ring.
UPDATE app.jobs AS r
SET due_at = n.moment + make_interval(secs => %(lease)s), lease_expires_at = n.moment + make_interval(secs => %(lease)s)
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n, unnest(%(keys)s::varchar[], %(lease_numbers)s::int[]) AS i(job_id, lease_number)
WHERE r.job_id = i.job_id AND r.lease_number = i.lease_number AND r.lease_owner = %(owner)s
  AND r.job_id = ANY(ARRAY(SELECT j.job_id FROM app.jobs AS j WHERE j.job_id = ANY(%(keys)s::varchar[])
                           ORDER BY j.job_id FOR NO KEY UPDATE SKIP LOCKED))
RETURNING r.job_id AS key, NULL AS stop_reason
