-- web: one task of a job, by its number.
SELECT t.*, s.name AS stage_name, s.definition AS stage_definition, app.clock() AS now
FROM app.stages AS s JOIN app.tasks AS t ON t.stage_id = s.stage_id
WHERE s.job_id = %(job_id)s AND t.task_number = %(number)s
