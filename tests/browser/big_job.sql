INSERT INTO app.jobs (job_id, job_type, status, parameters, stage_count, tasks_total, error, due_at, created_at, started_at,
                      finished_at, move_number, event_type, event_status, event_data, definition)
SELECT %(job)s::varchar, 'process_raster_v2', 'failed', '{"size": 1}', 3, %(tasks)s::int + 1, '{"type": "RasterReadError", "message": "window (512, 768) lies outside the raster"}',
       NULL, now() - %(length)s::float * interval '1.1 s', now() - %(length)s::float * interval '1.1 s', now() - %(length)s::float * interval '0.05 s', 3, 'job_failed', 'failure',
       '{}', '{}';

INSERT INTO app.stages (job_id, stage, name, task_type, definition, status, tasks_total, tasks_completed, tasks_failed,
                        tasks_cancelled, error, created_at, started_at, finished_at, move_number, event_type, event_status,
                        event_data)
SELECT %(job)s::varchar, s.stage, s.name, s.name, '{"policy": "finish_siblings", "backoff": [1, 2, 60, 0]}', s.status, s.total,
       s.total - s.failed, s.failed, 0, CASE s.failed WHEN 0 THEN NULL ELSE '{"message": "window (512, 768) lies outside the raster"}'::jsonb END,
       now() - %(length)s::float * interval '1.1 s', CASE s.status WHEN 'cancelled' THEN NULL ELSE now() - %(length)s::float * interval '1.1 s' END,
       CASE s.stage WHEN 1 THEN now() - %(length)s::float * interval '1.098 s' ELSE now() - %(length)s::float * interval '0.05 s' END,
       2, 'stage_completed', 'success', '{}'
FROM (VALUES (1, 'plan', 'completed', 1, 0), (2, 'hillshade', 'failed', %(tasks)s::int, %(tasks)s::int / %(failed)s::int),
             (3, 'mosaic', 'cancelled', 0, 0)) AS s (stage, name, status, total, failed);

INSERT INTO app.tasks (task_id, job_id, stage_id, stage, task_index, task_number, task_type, item, result, error, due_at,
                       lease_number, attempt, max_attempts, status, created_at, started_at, finished_at, move_number,
                       event_type, event_status, event_data)
SELECT s.stage_id || '-' || i, %(job)s::varchar, s.stage_id, s.stage, i, i + CASE s.stage WHEN 1 THEN 1 ELSE 2 END, s.name,
       json_build_object('window', i, 'words', repeat('x', 60)), CASE WHEN f.failed THEN NULL ELSE '{"mean": 1.5}'::json END,
       CASE WHEN f.failed THEN '{"type": "RasterReadError", "message": "window (512, 768) lies outside the raster", "traceback": "Traceback …"}'::jsonb END, NULL,
       CASE WHEN f.again THEN 2 ELSE 1 END, CASE WHEN f.again THEN 2 ELSE 1 END, 3,
       CASE WHEN f.failed THEN 'failed' ELSE 'completed' END, now() - %(length)s::float * interval '1.1 s',
       now() - %(length)s::float * interval '1.1 s' + i * %(length)s::float * interval '0.9 s' / %(tasks)s::int,
       now() - %(length)s::float * interval '1.1 s' + i * %(length)s::float * interval '0.9 s' / %(tasks)s::int + (1 + i * 7 %% 37) * %(length)s::float * interval '0.003 s', 2, 'task_completed',
       'success', '{}'
FROM app.stages AS s CROSS JOIN LATERAL generate_series(0, s.tasks_total - 1) AS i
CROSS JOIN LATERAL (SELECT s.stage = 2 AND i > 0 AND i %% %(failed)s::int = 0 AS failed,
                           s.stage = 2 AND i > 0 AND i %% %(again)s::int = 0 AS again) AS f
WHERE s.job_id = %(job)s::varchar;

INSERT INTO app.job_events (job_id, stage, task_id, lease_number, attempt, event_type, event_status, event_data, created_at)
SELECT job_id, stage, task_id, lease_number, attempt, type, status, data::jsonb, at FROM (
  SELECT job_id, NULL::int AS stage, NULL AS task_id, NULL::int AS lease_number, NULL::int AS attempt, 'job_created' AS type,
         'success' AS status, '{}' AS data, created_at AS at, 0 AS first FROM app.jobs WHERE job_id = %(job)s::varchar
  UNION ALL
  SELECT job_id, NULL, NULL, NULL, NULL, 'job_queued', 'success', '{}', created_at, 1 FROM app.jobs WHERE job_id = %(job)s::varchar
  UNION ALL
  SELECT job_id, stage, NULL, NULL, NULL, 'stage_started', 'success', '{}', started_at, 2 FROM app.stages
  WHERE job_id = %(job)s::varchar AND started_at IS NOT NULL
  UNION ALL
  SELECT job_id, stage, task_id, 1, 1, 'task_started', 'success', '{"worker": "host-1-77"}', started_at, 3 FROM app.tasks
  WHERE job_id = %(job)s::varchar
  UNION ALL
  SELECT job_id, stage, task_id, 1, 1, 'task_retry_scheduled', 'warning',
         '{"worker": "host-1-77", "duration_ms": 12, "delay_s": 1, "error": {"type": "OSError", "message": "again"}}',
         started_at + 0.2 * (finished_at - started_at), 4 FROM app.tasks WHERE job_id = %(job)s::varchar AND attempt > 1
  UNION ALL
  SELECT job_id, stage, task_id, 2, 2, 'task_started', 'success', '{"worker": "host-2-9"}', started_at + 0.6 * (finished_at - started_at), 5
  FROM app.tasks WHERE job_id = %(job)s::varchar AND attempt > 1
  UNION ALL
  SELECT job_id, stage, task_id, lease_number, attempt, 'task_' || status,
         CASE status WHEN 'failed' THEN 'failure' ELSE 'success' END,
         CASE status WHEN 'failed' THEN '{"worker": "host-1-77", "attempt": 1, "of": 3, "error": {"type": "RasterReadError", "message": "window (512, 768) lies outside the raster", "traceback": "Traceback …"}}' ELSE '{"worker": "host-1-77", "duration_ms": 300}' END,
         finished_at, 6 FROM app.tasks WHERE job_id = %(job)s::varchar
  UNION ALL
  SELECT job_id, NULL, NULL, NULL, NULL, 'job_failed', 'failure', '{"error": {"message": "window (512, 768) lies outside the raster"}}', finished_at, 7
  FROM app.jobs WHERE job_id = %(job)s::varchar
) AS e ORDER BY at, first, task_id;
