-- app: the latest jobs, each with its current stage. The stages are read for the listed jobs only.
SELECT j.job_id, j.job_type, j.status, j.created_at, j.started_at, j.finished_at, j.stage_count, j.tasks_total,
       app.clock() AS now, s.stage, s.tasks_ended
FROM app.jobs AS j
CROSS JOIN LATERAL (
  SELECT max(t.stage) FILTER (WHERE t.started_at IS NOT NULL) AS stage,
         sum(t.tasks_completed + t.tasks_failed + t.tasks_cancelled) AS tasks_ended
  FROM app.stages AS t WHERE t.job_id = j.job_id
) AS s
WHERE (%(status)s::varchar IS NULL OR j.status = %(status)s) AND (%(job_type)s::varchar IS NULL OR j.job_type = %(job_type)s)
ORDER BY j.created_at DESC, j.job_id DESC LIMIT %(limit)s
