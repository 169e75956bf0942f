-- web: how many messages of jobs were dead-lettered in the last seven days. Reads the index on created_at.
SELECT count(*) AS letters, max(created_at) AS last FROM app.job_events
WHERE event_type = 'message_dead_lettered' AND created_at > app.clock() - interval '7 days'
