-- after lock_jobs: the stages whose tasks are about to move.
SELECT stage_id, job_id, stage, name, task_type, status, definition, tasks_total, tasks_open, tasks_completed, tasks_failed,
       tasks_cancelled, stop_reason, stop_why
FROM app.stages WHERE stage_id = ANY(ARRAY(SELECT unnest(%(stage_ids)s::bigint[]))) ORDER BY stage_id FOR NO KEY UPDATE
