-- web: how many messages of jobs were dead-lettered in the last seven days. Its event is a warning, so that the small
-- index of failures and warnings answers, however long the history is.
SELECT count(*) AS letters, max(created_at) AS last FROM app.job_events
WHERE event_type = 'message_dead_lettered' AND event_status IN ('failure', 'warning')
  AND created_at > app.clock() - interval '7 days'
