-- one_by_one and the claims: an item that could not be handled is tried again later, and later each time it fails again. What
-- has not failed for ten minutes begins anew. Returns for how many seconds it is set aside.
INSERT INTO app.set_aside AS a (step, item, job_id, since, times, until, error, worker)
SELECT %(step)s, left(%(item)s, 200), %(job_id)s, n.moment, 1, n.moment + make_interval(secs => %(first)s), %(error)s::jsonb, %(worker)s
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n
ON CONFLICT (step, item) DO UPDATE SET
  since = CASE WHEN a.until > EXCLUDED.since - interval '10 minutes' THEN a.since ELSE EXCLUDED.since END,
  times = CASE WHEN a.until > EXCLUDED.since - interval '10 minutes' THEN least(a.times, 1000) + 1 ELSE 1 END,
  until = EXCLUDED.since + make_interval(secs => CASE WHEN a.until > EXCLUDED.since - interval '10 minutes'
    THEN least(%(most)s, %(first)s * power(2, least(a.times, 20))) ELSE %(first)s END),
  error = EXCLUDED.error, worker = EXCLUDED.worker
RETURNING extract(epoch FROM a.until - app.clock())::float8 AS seconds
