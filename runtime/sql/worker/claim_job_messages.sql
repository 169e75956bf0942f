-- worker: takes due job messages. A message that is not acknowledged becomes due again when its lease runs out. With each come
-- its job and the stages of that, as they stand under the lock of the job.
UPDATE app.jobs AS r
SET due_at = n.moment + make_interval(secs => %(lease)s), lease_expires_at = n.moment + make_interval(secs => %(lease)s),
    lease_owner = %(owner)s, lease_number = r.lease_number + 1, send_number = 0
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n
WHERE r.due_at IS NOT NULL AND r.job_id = ANY(ARRAY(
  SELECT q.job_id FROM unnest(%(kinds)s::varchar[]) AS k(kind) CROSS JOIN LATERAL (
    SELECT t.job_id FROM app.jobs AS t
    WHERE t.due_at IS NOT NULL AND t.job_type = k.kind AND t.due_at <= app.clock()
      AND t.job_id <> ALL(%(without)s::varchar[])
    ORDER BY t.due_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
  ) AS q LIMIT %(limit)s))
RETURNING r.job_id, r.job_type, r.lease_number, r.status, r.parameters, r.definition, r.stage_count, r.tasks_total, (
  SELECT json_agg(f ORDER BY f.stage) FROM (
    SELECT s.stage_id, s.job_id, s.stage, s.name, s.task_type, s.status, s.definition, s.tasks_total, s.tasks_open,
           s.tasks_completed, s.tasks_failed, s.tasks_cancelled, s.stop_reason, s.stop_why
    FROM app.stages AS s WHERE s.job_id = r.job_id) AS f) AS stages
