-- relay, where taking job messages failed: the jobs whose messages it tried to take.
SELECT q.job_id AS key, q.job_id FROM unnest(%(kinds)s::varchar[]) AS k(kind) CROSS JOIN LATERAL (
  SELECT t.job_id FROM app.jobs AS t
  WHERE t.due_at IS NOT NULL AND t.job_type = k.kind
    AND t.due_at <= app.clock() + make_interval(secs => %(horizon)s)
    AND (t.due_at <= app.clock() OR (t.send_number = 0 AND t.lease_owner IS NULL)) AND t.job_id <> ALL(%(without)s::varchar[])
  ORDER BY t.due_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
) AS q LIMIT %(limit)s
