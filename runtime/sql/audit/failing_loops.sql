-- audit GAP-32: failing loops of live workers, from their heartbeats. Takes no lock.
SELECT NULL::varchar AS job_id, 'worker ' || w.worker || ', ' || l.key AS subject,
       w.seen_at - make_interval(secs => CASE WHEN l.value ->> 'failing_s' ~ '^[0-9]{1,9}([.][0-9]+)?$'
                                              THEN (l.value ->> 'failing_s')::float8 ELSE 0 END) AS since, count(*) OVER () AS found,
       'failed ' || (l.value ->> 'times') || ' times: ' || COALESCE(l.value #>> '{error,message}', 'no error is given') AS detail
FROM app.workers AS w CROSS JOIN LATERAL jsonb_each(w.loops) AS l
WHERE w.stopped_at IS NULL AND w.seen_at > app.clock() - make_interval(secs => %(alive)s)
ORDER BY since LIMIT %(examples)s
