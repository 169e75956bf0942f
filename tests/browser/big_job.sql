INSERT INTO app.jobs (job_id, job_type, status, parameters, stage_count, tasks_total, error, due_at, created_at, started_at,
                      finished_at, move_number, event_type, event_status, event_data, definition)
SELECT %(job)s::varchar, 'process_raster_v2', 'failed', '{"size": 1}', 3, %(tasks)s::int + 1,
       '{"type": "RasterReadError", "message": "window (512, 768) lies outside the raster"}', NULL,
       now() - %(length)s::float * interval '1.1 s', now() - %(length)s::float * interval '1.1 s',
       now() - %(length)s::float * interval '0.05 s', 3, 'job_failed', 'failure', '{}', '{}';

INSERT INTO app.stages (job_id, stage, name, task_type, definition, status, tasks_total, tasks_completed, tasks_failed,
                        tasks_cancelled, error, created_at, started_at, finished_at, move_number, event_type, event_status,
                        event_data)
SELECT %(job)s::varchar, s.stage, s.name, s.name, '{"policy": "finish_siblings", "backoff": [1, 2, 60, 0]}', s.status, s.total,
       s.total - s.failed, s.failed, 0,
       CASE s.failed WHEN 0 THEN NULL ELSE '{"message": "window (512, 768) lies outside the raster"}'::jsonb END,
       now() - %(length)s::float * interval '1.1 s',
       CASE s.status WHEN 'cancelled' THEN NULL ELSE now() - %(length)s::float * interval '1.1 s' END,
       CASE s.stage WHEN 1 THEN now() - %(length)s::float * interval '1.09 s'
                    ELSE now() - %(length)s::float * interval '0.05 s' END,
       2, 'stage_' || s.status, 'success', '{}'
FROM (VALUES (1, 'plan', 'completed', 1, 0),
             (2, 'hillshade', 'failed', %(tasks)s::int, (%(tasks)s::int - 1) / %(failed)s::int),
             (3, 'mosaic', 'cancelled', 0, 0)) AS s (stage, name, status, total, failed);

-- all attempts and the waits between them take equally long: the row has the start of the last attempt
INSERT INTO app.tasks (task_id, job_id, stage_id, stage, task_index, task_number, task_type, item, result, error, due_at,
                       lease_number, attempt, max_attempts, status, created_at, started_at, finished_at, move_number,
                       event_type, event_status, event_data)
SELECT s.stage_id || '-' || i, %(job)s::varchar, s.stage_id, s.stage, i, i + CASE s.stage WHEN 1 THEN 1 ELSE 2 END, s.name,
       json_build_object('window', i, 'words', repeat('x', 60)),
       CASE WHEN f.failed THEN NULL ELSE '{"mean": 1.5}'::json END,
       CASE WHEN f.failed THEN '{"type": "RasterReadError", "message": "window (512, 768) lies outside the raster", "traceback": "Traceback …"}'::jsonb END,
       NULL, n.attempts, n.attempts, 3, CASE WHEN f.failed THEN 'failed' ELSE 'completed' END,
       now() - %(length)s::float * interval '1.1 s',
       d.first + d.lasts * (n.attempts - 1) / n.attempts, d.first + d.lasts, 2, 'task_completed', 'success', '{}'
FROM app.stages AS s CROSS JOIN LATERAL generate_series(0, s.tasks_total - 1) AS i
CROSS JOIN LATERAL (SELECT s.stage = 2 AND i > 0 AND i %% %(failed)s::int = 0 AS failed,
                           s.stage = 2 AND i > 0 AND i %% %(again)s::int = 0 AS again) AS f
CROSS JOIN LATERAL (SELECT CASE WHEN f.failed THEN 3 WHEN f.again THEN 2 ELSE 1 END AS attempts) AS n
CROSS JOIN LATERAL (
  SELECT now() - %(length)s::float * interval '1.1 s'
         + CASE s.stage WHEN 1 THEN 0.001 ELSE 0.012 + i * 0.9 / %(tasks)s::int END * %(length)s::float * interval '1 s' AS first,
         %(length)s::float * interval '1 s' * CASE s.stage WHEN 1 THEN 0.008
           ELSE least(0.003 * (1 + i * 7 %% 37) * CASE n.attempts WHEN 1 THEN 1 ELSE 1.5 * n.attempts END, 0.13) END AS lasts
) AS d
WHERE s.job_id = %(job)s::varchar;

UPDATE app.stages SET started_at = started_at + %(length)s::float * interval '0.01 s'
WHERE job_id = %(job)s::varchar AND stage = 2;
