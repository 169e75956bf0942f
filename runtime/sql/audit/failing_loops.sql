-- audit GAP-32: loops of running workers that fail or are stuck, from their heartbeats. Takes no lock.
SELECT NULL::varchar AS job_id, 'worker ' || w.worker || ', ' || l.key AS subject,
       w.seen_at - make_interval(secs => CASE WHEN s.seconds ~ '^[0-9]{1,9}([.][0-9]+)?$'
                                              THEN s.seconds::float8 ELSE 0 END) AS since, count(*) OVER () AS found,
       CASE WHEN l.value ? 'stuck_s' THEN 'stuck: it has waited ' || (l.value ->> 'stuck_s') || ' s for an answer of the server'
            ELSE 'failed ' || (l.value ->> 'times') || ' times: ' || COALESCE(l.value #>> '{error,message}', 'no error is given')
       END AS detail
FROM app.workers AS w CROSS JOIN LATERAL jsonb_each(w.loops) AS l
CROSS JOIN LATERAL (SELECT COALESCE(l.value ->> 'stuck_s', l.value ->> 'failing_s') AS seconds) AS s
WHERE w.stopped_at IS NULL AND w.seen_at > app.clock() - make_interval(secs => %(alive)s)
ORDER BY since LIMIT %(examples)s
