-- audit GAP-22: a week, so that an alarm that was seen goes out; what belongs to no job is told by the worker that read it.
-- Reads the index on created_at; takes no lock.
WITH dead AS (
  SELECT job_id, 'message' AS subject, COALESCE(event_data ->> 'reason', 'no reason is told') AS detail, created_at AS since,
         1::bigint AS letters
  FROM app.job_events WHERE event_type = 'message_dead_lettered' AND created_at > app.clock() - interval '7 days'
  UNION ALL
  SELECT NULL, 'messages of no job', dead_letters || ' read by ' || worker || '; its log tells of each', seen_at, dead_letters
  FROM app.workers WHERE dead_letters > 0
)
SELECT job_id, subject, detail, since, sum(letters) OVER ()::bigint AS found
FROM dead ORDER BY since DESC LIMIT %(examples)s
