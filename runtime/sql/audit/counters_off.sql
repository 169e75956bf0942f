-- audit GAP-10: recounts the children. One statement, so that counter and children are read at the same time. Takes no
-- lock.
WITH tasks_of AS (
  SELECT stage_id, count(*) AS total, count(*) FILTER (WHERE status IN ('queued', 'processing')) AS open,
         count(*) FILTER (WHERE status = 'completed') AS completed,
         count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE status = 'cancelled') AS cancelled
  FROM app.tasks GROUP BY stage_id
), stages_of AS (
  SELECT job_id, count(*) AS stages, count(*) FILTER (WHERE status IN ('pending', 'processing')) AS open,
         count(*) FILTER (WHERE status = 'completed') AS completed, sum(tasks_total) AS tasks
  FROM app.stages GROUP BY job_id
), off AS (
  SELECT s.job_id, 'stage ' || s.stage || ' (' || s.name || ')' AS subject, s.created_at AS since,
         'total, open, completed, failed, cancelled: says '
           || concat_ws(', ', s.tasks_total, s.tasks_open, s.tasks_completed, s.tasks_failed, s.tasks_cancelled)
           || '; has '
           || concat_ws(', ', COALESCE(t.total, 0), COALESCE(t.open, 0), COALESCE(t.completed, 0), COALESCE(t.failed, 0),
                        COALESCE(t.cancelled, 0)) AS detail
  FROM app.stages AS s LEFT JOIN tasks_of AS t ON t.stage_id = s.stage_id
  WHERE (s.tasks_total, s.tasks_open, s.tasks_completed, s.tasks_failed, s.tasks_cancelled)
     <> (COALESCE(t.total, 0), COALESCE(t.open, 0), COALESCE(t.completed, 0), COALESCE(t.failed, 0), COALESCE(t.cancelled, 0))
  UNION ALL
  SELECT j.job_id, 'job', j.created_at,
         'stages, open, completed, tasks: says '
           || concat_ws(', ', j.stage_count, j.stages_open, j.stages_completed, j.tasks_total) || '; has '
           || concat_ws(', ', COALESCE(s.stages, 0), COALESCE(s.open, 0), COALESCE(s.completed, 0), COALESCE(s.tasks, 0))
  FROM app.jobs AS j LEFT JOIN stages_of AS s ON s.job_id = j.job_id
  WHERE (j.stage_count, j.stages_open, j.stages_completed, j.tasks_total)
     <> (COALESCE(s.stages, 0), COALESCE(s.open, 0), COALESCE(s.completed, 0), COALESCE(s.tasks, 0))
)
SELECT job_id, subject, detail, since, count(*) OVER () AS found FROM off ORDER BY since, subject LIMIT %(examples)s
