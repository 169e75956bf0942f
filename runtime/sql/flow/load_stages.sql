-- worker and app: a job's stages in order.
SELECT stage_id, job_id, stage, name, task_type, status, definition, tasks_total, tasks_open, tasks_completed, tasks_failed,
       tasks_cancelled, stop_reason, stop_why, stopped_at, error, started_at, finished_at
FROM app.stages WHERE job_id = %(job_id)s ORDER BY stage
