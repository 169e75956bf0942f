-- advance: the error that failed the stage is that of its first failed task. The order of the log decides between tasks
-- that failed in one statement.
SELECT t.task_id, t.task_number, t.error FROM app.tasks AS t
WHERE t.stage_id = %(stage_id)s AND t.status = 'failed' AND t.finished_at = (
  SELECT min(f.finished_at) FROM app.tasks AS f WHERE f.stage_id = %(stage_id)s AND f.status = 'failed')
ORDER BY (SELECT max(e.event_id) FROM app.job_events AS e WHERE e.task_id = t.task_id AND e.event_type = 'task_failed') LIMIT 1
