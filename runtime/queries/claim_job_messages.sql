-- worker: takes due job messages. A message that is not acknowledged becomes due again when its lease runs out.
UPDATE app.jobs AS r
SET due_at = n.moment + make_interval(secs => %(lease)s), lease_expires_at = n.moment + make_interval(secs => %(lease)s),
    lease_owner = %(owner)s, lease_number = r.lease_number + 1, send_number = 0
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n
WHERE r.due_at IS NOT NULL AND r.job_id = ANY(ARRAY(
  SELECT q.job_id FROM unnest(%(kinds)s::varchar[]) AS k(kind) CROSS JOIN LATERAL (
    SELECT t.job_id FROM app.jobs AS t
    WHERE t.due_at IS NOT NULL AND t.job_type = k.kind AND t.due_at <= app.clock()
    ORDER BY t.due_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
  ) AS q LIMIT %(limit)s))
RETURNING r.job_id, r.job_type, r.lease_number
