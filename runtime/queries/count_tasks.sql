-- run_task, under the stage's lock: counts ended tasks of a stage that stays open.
UPDATE app.stages
SET tasks_completed = %(tasks_completed)s, tasks_failed = %(tasks_failed)s, tasks_cancelled = %(tasks_cancelled)s,
    stop_reason = %(stop_reason)s::varchar, stop_why = %(stop_why)s,
    stopped_at = CASE WHEN %(stop_reason)s::varchar IS NOT NULL THEN COALESCE(stopped_at, app.clock()) END
WHERE stage_id = %(stage_id)s AND status = 'processing'
RETURNING stage_id
