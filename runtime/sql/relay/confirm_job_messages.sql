-- relay: these messages have been sent; when they are sent again doubles each time. One that was claimed, acknowledged or
-- posted anew meanwhile stays as it is; one that is locked too: whoever holds it is about to.
UPDATE app.jobs AS r
SET due_at = r.due_at + make_interval(
  secs => LEAST(%(most)s::float8, %(resend)s * power(2, LEAST(r.send_number - 1, 30))) - %(lease)s)
FROM unnest(%(keys)s::varchar[], %(lease_numbers)s::int[], %(send_numbers)s::int[]) AS i(job_id, lease_number, send_number)
WHERE r.job_id = i.job_id AND r.lease_number = i.lease_number AND r.send_number = i.send_number
  AND r.due_at IS NOT NULL AND r.lease_owner IS NULL
  AND r.job_id = ANY(ARRAY(SELECT t.job_id FROM app.jobs AS t WHERE t.job_id = ANY(%(keys)s::varchar[])
                           ORDER BY t.job_id FOR NO KEY UPDATE SKIP LOCKED))
RETURNING r.job_id AS key
