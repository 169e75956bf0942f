-- worker and app: the current row of one job.
SELECT job_id, job_type, status, parameters, submission_key, definition, stage_count, tasks_total, result, error,
       lease_number, lease_owner, lease_expires_at, due_at, send_number, deadline_at, created_at, started_at, finished_at
FROM app.jobs WHERE job_id = %(job_id)s
