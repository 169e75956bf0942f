-- audit GAP-22: a week, so that an alarm that was seen goes out. Reads the index on created_at; takes no lock.
SELECT job_id, 'message' AS subject, COALESCE(event_data ->> 'reason', 'no reason is told') AS detail,
       created_at AS since, count(*) OVER () AS found
FROM app.job_events WHERE event_type = 'message_dead_lettered' AND created_at > app.clock() - interval '7 days'
ORDER BY created_at DESC LIMIT %(examples)s
