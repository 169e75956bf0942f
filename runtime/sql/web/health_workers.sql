-- web: the workers that were seen last, and what each reconciler found when it last ran.
SELECT worker, started_at, seen_at, stopped_at, runs, failures, last_error, found, app.clock() AS now,
       loops @? '$.*.stuck_s' AND seen_at > app.clock() - make_interval(secs => %(alive)s) AS stuck,
       stopped_at IS NULL AND seen_at > app.clock() - make_interval(secs => %(alive)s) AND NOT loops @? '$.*.stuck_s' AS alive
FROM app.workers ORDER BY stopped_at IS NULL DESC, seen_at DESC LIMIT 100
