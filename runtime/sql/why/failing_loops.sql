-- why: loops of running workers that fail or are stuck, from their heartbeats.
SELECT w.worker, l.key AS loop,
       CASE WHEN l.value ? 'stuck_s' THEN 'is stuck: it has waited ' || (l.value ->> 'stuck_s') || ' s for an answer of the server'
            ELSE 'fails: ' || COALESCE(l.value #>> '{error,message}', 'no error is given') END AS what
FROM app.workers AS w CROSS JOIN LATERAL jsonb_each(w.loops) AS l
WHERE w.stopped_at IS NULL AND w.seen_at > app.clock() - make_interval(secs => %(beat_within)s)
ORDER BY w.worker, l.key LIMIT 5
