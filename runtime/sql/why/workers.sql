-- why: the live workers, and the time. A lost worker writes no more heartbeats; one with a stuck loop may claim nothing.
SELECT app.clock() AS now,
       COALESCE(array_agg(worker::text ORDER BY worker) FILTER (WHERE alive), '{}') AS workers,
       COALESCE(array_agg(seen_at ORDER BY worker) FILTER (WHERE alive), '{}') AS seen,
       max(seen_at) AS last_seen
FROM (SELECT worker, seen_at,
             stopped_at IS NULL AND seen_at > app.clock() - make_interval(secs => %(beat_within)s)
               AND NOT loops @? '$.*.stuck_s' AS alive
      FROM app.workers) AS known
