-- why: whether anybody is there to bring the job on, and what time it is.
SELECT app.clock() AS now, max(seen_at) AS last_seen,
       count(*) FILTER (WHERE stopped_at IS NULL AND seen_at > app.clock() - make_interval(secs => %(alive)s)) AS alive
FROM app.workers
