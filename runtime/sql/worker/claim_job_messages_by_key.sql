-- worker on a broker: takes the job messages that have come, as far as nobody has claimed them since. The lease number
-- fences, so that a copy of an earlier message claims nothing. Waits for a row that the relay is just confirming. IS TRUE
-- keeps the planner from jobs_due: only the key finds rows.
UPDATE app.jobs AS r
SET due_at = n.moment + make_interval(secs => %(lease)s), lease_expires_at = n.moment + make_interval(secs => %(lease)s),
    lease_owner = %(lease_owner)s, lease_number = r.lease_number + 1, send_number = 0
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n
WHERE r.due_at IS NOT NULL AND r.lease_owner IS NULL AND r.job_id = ANY(ARRAY(
  SELECT t.job_id FROM app.jobs AS t
  JOIN unnest(%(keys)s::varchar[], %(lease_numbers)s::int[]) AS i(job_id, lease_number) ON i.job_id = t.job_id
  WHERE t.job_id = ANY(%(keys)s::varchar[]) AND t.lease_number = i.lease_number AND t.due_at IS NOT NULL
    AND t.lease_owner IS NULL AND (t.job_type = ANY(%(kinds)s::varchar[])) IS TRUE
  ORDER BY t.job_id FOR NO KEY UPDATE OF t))
RETURNING r.job_id AS key, r.job_type, r.lease_number
