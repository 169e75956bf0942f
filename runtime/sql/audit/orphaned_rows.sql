-- audit GAP-9: children whose parent has ended before them, is of another job, or is missing. Takes no lock.
WITH orphans AS (
  SELECT t.job_id, 'task ' || t.task_id AS subject, t.created_at AS since,
         CASE WHEN s.stage_id IS NULL THEN 'its stage is not there'
              WHEN (t.job_id, t.stage) <> (s.job_id, s.stage) THEN 'its stage is one of another job, or another stage'
              ELSE t.status || ' in a stage that is ' || s.status END AS detail
  FROM app.tasks AS t LEFT JOIN app.stages AS s ON s.stage_id = t.stage_id
  WHERE s.stage_id IS NULL OR (t.job_id, t.stage) <> (s.job_id, s.stage)
     OR t.status IN ('queued', 'processing') AND s.status <> 'processing'
  UNION ALL
  SELECT s.job_id, 'stage ' || s.stage || ' (' || s.name || ')', s.created_at,
         COALESCE(s.status || ' in a job that is ' || j.status, 'its job is not there')
  FROM app.stages AS s LEFT JOIN app.jobs AS j ON j.job_id = s.job_id
  WHERE j.job_id IS NULL OR s.status = 'processing' AND j.status <> 'processing'
     OR s.status = 'pending' AND j.status NOT IN ('queued', 'processing')
  UNION ALL
  SELECT c.job_id, 'callback ' || c.name, c.created_at,
         COALESCE('of a job that is ' || j.status, 'its job is not there')
  FROM app.callbacks AS c LEFT JOIN app.jobs AS j ON j.job_id = c.job_id
  WHERE j.status IS DISTINCT FROM 'completed'
)
SELECT job_id, subject, detail, since, count(*) OVER () AS found FROM orphans ORDER BY since, subject LIMIT %(examples)s
