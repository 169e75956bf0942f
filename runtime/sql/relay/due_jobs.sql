-- worker, where a claim of job messages failed: the jobs whose messages it tried to win.
SELECT q.job_id AS key, q.job_id FROM unnest(%(kinds)s::varchar[]) AS k(kind) CROSS JOIN LATERAL (
  SELECT t.job_id FROM app.jobs AS t
  WHERE t.due_at IS NOT NULL AND t.job_type = k.kind AND t.due_at <= app.clock() AND t.job_id <> ALL(%(without)s::varchar[])
  ORDER BY t.due_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
) AS q LIMIT %(limit)s
