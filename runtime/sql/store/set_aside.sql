-- one_by_one and the claims: an item that could not be handled is tried again later, and later each time it fails
-- again. One that has not failed for ten minutes starts over. Returns for how many seconds each is set aside.
INSERT INTO app.set_aside AS a (step, item, job_id, since, times, until, error, worker)
SELECT %(step)s, i.item, i.job_id, n.moment, 1, n.moment + make_interval(secs => %(first)s), i.error, %(worker)s
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n,
     unnest(%(items)s::varchar[], %(job_ids)s::varchar[], %(errors)s::jsonb[]) AS i(item, job_id, error)
ORDER BY i.item
ON CONFLICT (step, item) DO UPDATE SET
  since = CASE WHEN a.until > EXCLUDED.since - interval '10 minutes' THEN a.since ELSE EXCLUDED.since END,
  times = CASE WHEN a.until > EXCLUDED.since - interval '10 minutes' THEN least(a.times, 1000) + 1 ELSE 1 END,
  until = EXCLUDED.since + make_interval(secs => CASE WHEN a.until > EXCLUDED.since - interval '10 minutes'
    THEN least(%(most)s, %(first)s * power(2, least(a.times, 20))) ELSE %(first)s END),
  error = EXCLUDED.error, worker = EXCLUDED.worker
RETURNING a.item, extract(epoch FROM a.until - app.clock())::float8 AS seconds
