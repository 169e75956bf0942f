-- bench, for comparison only: completions whose events the client writes itself, without a rule that enforces it.
WITH moved AS (:move),
told AS (
  INSERT INTO app.job_events (job_id, task_id, stage, lease_number, attempt, event_type, event_status, event_data)
  SELECT m.job_id, m.key, m.stage, m.lease_number, m.attempt, 'task_completed', 'success', %(told)s::jsonb
  FROM moved AS m RETURNING event_id)
SELECT m.key FROM moved AS m
