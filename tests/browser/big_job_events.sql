INSERT INTO app.job_events (job_id, stage, task_id, lease_number, attempt, event_type, event_status, event_data, created_at)
SELECT job_id, stage, task_id, lease_number, attempt, type, status, data::jsonb, at FROM (
  SELECT job_id, NULL::int AS stage, NULL AS task_id, NULL::int AS lease_number, NULL::int AS attempt, 'job_created' AS type,
         'success' AS status, '{}' AS data, created_at AS at, 0 AS first FROM app.jobs WHERE job_id = %(job)s::varchar
  UNION ALL
  SELECT job_id, NULL, NULL, NULL, NULL, 'job_queued', 'success', '{}', created_at, 1 FROM app.jobs
  WHERE job_id = %(job)s::varchar
  UNION ALL
  SELECT job_id, stage, NULL, NULL, NULL, 'stage_started', 'success', '{}', started_at, 2 FROM app.stages
  WHERE job_id = %(job)s::varchar AND started_at IS NOT NULL
  UNION ALL
  SELECT t.job_id, t.stage, t.task_id, k, k, 'task_started', 'success', '{"worker": "host-1-77"}',
         t.started_at - (t.attempt - k) * (t.finished_at - t.started_at), 3
  FROM app.tasks AS t CROSS JOIN LATERAL generate_series(1, t.attempt) AS k
  WHERE t.job_id = %(job)s::varchar AND t.started_at IS NOT NULL
  UNION ALL
  SELECT t.job_id, t.stage, t.task_id, k, k, 'task_retry_scheduled', 'warning',
         '{"worker": "host-1-77", "duration_ms": 12, "delay_s": 1, "error": {"type": "RasterReadError", "message": "window (512, 768) lies outside the raster", "traceback": "Traceback …"}}',
         t.started_at - (t.attempt - k - 0.55) * (t.finished_at - t.started_at), 4
  FROM app.tasks AS t CROSS JOIN LATERAL generate_series(1, t.attempt - 1) AS k
  WHERE t.job_id = %(job)s::varchar AND t.started_at IS NOT NULL
  UNION ALL
  SELECT job_id, stage, task_id, nullif(lease_number, 0), attempt, 'task_' || status,
         CASE status WHEN 'failed' THEN 'failure' WHEN 'cancelled' THEN 'warning' ELSE 'success' END,
         CASE status
           WHEN 'failed' THEN '{"worker": "host-1-77", "attempt": 3, "of": 3, "error": {"type": "RasterReadError", "message": "window (512, 768) lies outside the raster", "traceback": "Traceback …"}}'
           WHEN 'cancelled' THEN '{"reason": "another task of the stage failed"}'
           ELSE '{"worker": "host-1-77", "duration_ms": 300}' END,
         finished_at, 5 FROM app.tasks WHERE job_id = %(job)s::varchar
  UNION ALL
  SELECT job_id, stage, NULL, NULL, NULL, 'stage_' || status,
         CASE status WHEN 'failed' THEN 'failure' WHEN 'cancelled' THEN 'warning' ELSE 'success' END, '{}', finished_at,
         CASE status WHEN 'cancelled' THEN 7 ELSE 6 END
  FROM app.stages WHERE job_id = %(job)s::varchar
  UNION ALL
  SELECT job_id, NULL, NULL, NULL, NULL, 'job_failed', 'failure',
         '{"error": {"message": "window (512, 768) lies outside the raster"}}', finished_at, 8
  FROM app.jobs WHERE job_id = %(job)s::varchar
) AS e ORDER BY at, first, task_id;
