-- web: the tasks of a stage that are drawn one by one: those requested by number, or else the first ones.
SELECT t.task_id, t.task_number, t.stage, t.status, t.attempt, t.max_attempts, t.rescues, t.lease_owner, t.lease_number,
       t.created_at, t.started_at, t.finished_at, t.due_at, t.error ->> 'type' AS error_type
FROM app.tasks AS t
WHERE t.stage_id = %(stage_id)s AND t.task_index > %(after)s
ORDER BY t.task_index LIMIT %(limit)s
