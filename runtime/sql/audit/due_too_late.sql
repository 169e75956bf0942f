-- audit GAP-33: rows that wait for a time later than any back-off or resend could set. Reads the partial indexes on
-- due_at from their end; takes no lock.
WITH late AS (
  SELECT job_id, 'job' AS subject, due_at FROM app.jobs WHERE due_at > app.clock() + make_interval(secs => %(latest_due)s)
  UNION ALL
  SELECT t.job_id, 'task ' || t.task_id, t.due_at
  FROM app.tasks AS t JOIN app.stages AS s ON s.stage_id = t.stage_id
  WHERE t.status = 'queued' AND t.due_at > app.clock() + make_interval(
    secs => %(latest_due)s + COALESCE((s.definition #>> '{backoff,2}')::float8 * (1 + (s.definition #>> '{backoff,3}')::float8), 0))
  UNION ALL
  SELECT job_id, 'callback ' || name, due_at FROM app.callbacks
  WHERE status = 'queued' AND due_at > app.clock() + make_interval(secs => %(latest_due)s + 86400)
)
SELECT job_id, subject, 'is due only at ' || to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' AS detail,
       NULL::timestamptz AS since, count(*) OVER () AS found
FROM late ORDER BY due_at DESC, subject LIMIT %(examples)s
