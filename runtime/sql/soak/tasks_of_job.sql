-- soak: every task of a job that has ended, for its check. Reads one snapshot; takes no lock.
SELECT task_id, stage, task_index, task_number, status, result, error, attempt, max_attempts, rescues, max_rescues,
       lease_number
FROM app.tasks WHERE stage_id IN (SELECT s.stage_id FROM app.stages AS s WHERE s.job_id = %(job_id)s)
ORDER BY task_number
