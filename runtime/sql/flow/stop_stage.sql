-- advance, under the stage's lock, after its queued tasks were cancelled: running ones are asked to stop. Returns how
-- many are still open.
UPDATE app.stages SET stop_reason = %(stop_reason)s::varchar, stop_why = %(stop_why)s, stopped_at = COALESCE(stopped_at, app.clock())
WHERE stage_id = %(stage_id)s AND status = 'processing'
RETURNING tasks_total, tasks_open, tasks_completed, tasks_failed, tasks_cancelled
