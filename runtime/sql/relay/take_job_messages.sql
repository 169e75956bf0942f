-- relay: job messages that are to be sent; unsent ones some seconds ahead. One that somebody was handling and let go of,
-- for its lease ran out, is taken away from him: it is sent again. Reads jobs_due in its order, and skips what others hold.
UPDATE app.jobs AS r
SET due_at = GREATEST(r.due_at, n.moment) + make_interval(secs => %(lease)s), send_number = r.send_number + 1,
    lease_owner = NULL, lease_expires_at = NULL
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n
WHERE r.due_at IS NOT NULL AND r.job_id = ANY(ARRAY(
  SELECT q.job_id FROM unnest(%(kinds)s::varchar[]) AS k(kind) CROSS JOIN LATERAL (
    SELECT t.job_id FROM app.jobs AS t
    WHERE t.due_at IS NOT NULL AND t.job_type = k.kind
      AND t.due_at <= app.clock() + make_interval(secs => %(horizon)s)
      AND (t.due_at <= app.clock() OR (t.send_number = 0 AND t.lease_owner IS NULL)) AND t.job_id <> ALL(%(without)s::varchar[])
    ORDER BY t.due_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
  ) AS q LIMIT %(limit)s))
RETURNING r.job_id AS key, r.job_id, r.lease_number, r.send_number,
          extract(epoch FROM r.due_at - make_interval(secs => %(lease)s) - n.moment)::float8 AS delay
