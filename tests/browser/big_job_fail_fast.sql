UPDATE app.tasks AS t
SET status = 'cancelled', result = NULL, started_at = NULL, finished_at = f.finished_at, attempt = 1, lease_number = 0
FROM (SELECT min(finished_at) AS finished_at FROM app.tasks WHERE job_id = %(job)s::varchar AND status = 'failed') AS f
WHERE t.job_id = %(job)s::varchar AND t.started_at > f.finished_at;

UPDATE app.stages AS s
SET definition = '{"policy": "fail_fast", "backoff": [1, 2, 60, 0]}', finished_at = c.last + interval '0.2 s',
    tasks_completed = c.completed, tasks_failed = c.failed, tasks_cancelled = c.cancelled
FROM (SELECT count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'failed') AS failed,
             count(*) FILTER (WHERE status = 'cancelled') AS cancelled, max(finished_at) AS last
      FROM app.tasks WHERE job_id = %(job)s::varchar AND stage = 2) AS c
WHERE s.job_id = %(job)s::varchar AND s.stage = 2;

UPDATE app.stages AS s SET finished_at = o.finished_at FROM app.stages AS o
WHERE s.job_id = %(job)s::varchar AND s.stage = 3 AND o.job_id = s.job_id AND o.stage = 2;

UPDATE app.jobs AS j SET finished_at = s.finished_at + interval '0.1 s' FROM app.stages AS s
WHERE j.job_id = %(job)s::varchar AND s.job_id = j.job_id AND s.stage = 2;
