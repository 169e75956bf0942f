-- relay: with its worker's heartbeat, for how long nothing could be sent, or how long the oldest message has been overdue that
-- its relays should have sent; and how many dead letters belonged to no job. Reads the beginning of one range of an index for each type.
UPDATE app.workers AS w SET bus = %(bus)s, dead_letters = %(dead_letters)s, unsent_s = GREATEST(%(failing)s::float8, (
  SELECT extract(epoch FROM app.clock() - min(q.due_at))::float8 FROM (
    SELECT j.due_at FROM unnest(%(job_types)s::varchar[]) AS k(kind) CROSS JOIN LATERAL (
      SELECT t.due_at FROM app.jobs AS t WHERE t.due_at IS NOT NULL AND t.job_type = k.kind ORDER BY t.due_at LIMIT 1) AS j
    UNION ALL
    SELECT j.due_at FROM unnest(%(task_types)s::varchar[]) AS k(kind) CROSS JOIN LATERAL (
      SELECT t.due_at FROM app.tasks AS t WHERE t.status = 'queued' AND t.task_type = k.kind ORDER BY t.due_at LIMIT 1) AS j
    UNION ALL
    SELECT j.due_at FROM unnest(%(job_types)s::varchar[]) AS k(kind) CROSS JOIN LATERAL (
      SELECT t.due_at FROM app.callbacks AS t WHERE t.status = 'queued' AND t.job_type = k.kind
      ORDER BY t.due_at LIMIT 1) AS j
  ) AS q WHERE q.due_at <= app.clock()))
WHERE w.worker = %(worker)s
