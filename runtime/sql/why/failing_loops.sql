-- why: failing loops of live workers, from their heartbeats.
SELECT w.worker, l.key AS loop, COALESCE(l.value #>> '{error,message}', 'no error is given') AS message
FROM app.workers AS w CROSS JOIN LATERAL jsonb_each(w.loops) AS l
WHERE w.stopped_at IS NULL AND w.seen_at > app.clock() - make_interval(secs => %(beat_within)s)
ORDER BY w.worker, l.key LIMIT 5
