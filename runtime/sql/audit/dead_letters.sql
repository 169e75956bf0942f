-- audit GAP-22: of a week, so that the alarm ends; a dead letter without a job is kept for as long by its reader.
-- Reads the index on created_at, and a table of dead letters that holds a week; takes no lock.
WITH dead AS (
  SELECT job_id, 'message' AS subject, COALESCE(event_data ->> 'reason', 'no reason given') AS detail, created_at AS since
  FROM app.job_events WHERE event_type = 'message_dead_lettered' AND created_at > app.clock() - interval '7 days'
  UNION ALL
  SELECT NULL, 'message of no job', reason || ': ' || message_id || ' in ' || queue, read_at
  FROM app.dead_letters WHERE read_at > app.clock() - interval '7 days'
)
SELECT job_id, subject, detail, since, count(*) OVER () AS found
FROM dead ORDER BY since DESC LIMIT %(examples)s
