-- advance: the error that failed the stage is that of its first failed task.
SELECT task_id, task_number, error FROM app.tasks
WHERE stage_id = %(stage_id)s AND status = 'failed' ORDER BY finished_at, task_index LIMIT 1
