-- web: one page of a job's tasks in their order, stage by stage, filters before the limit.
SELECT t.task_id, t.task_number, t.task_index, t.stage, t.task_type, t.status, t.attempt, t.max_attempts, t.rescues,
       t.lease_owner, t.lease_number, t.lease_expires_at, t.due_at, t.deadline_at, t.created_at, t.started_at, t.finished_at,
       t.error, s.name AS stage_name, app.clock() AS now
FROM app.stages AS s JOIN app.tasks AS t ON t.stage_id = s.stage_id
WHERE s.job_id = %(job_id)s AND (%(stage)s::int IS NULL OR s.stage = %(stage)s)
  AND (s.stage, t.task_index) > (%(after_stage)s::int, %(after_index)s::int)
  AND (%(status)s::varchar IS NULL OR t.status = %(status)s)
ORDER BY s.stage, t.task_index LIMIT %(limit)s
