-- reconciler: tasks whose lease ran out, as candidates. Whether it has is asked again under the locks.
SELECT task_id AS key, job_id, stage_id, stage, task_index, task_number, task_type, NULL AS item, attempt, max_attempts,
       lease_number, lease_owner, deadline_at, rescues, max_rescues
FROM app.tasks WHERE status = 'processing' AND lease_expires_at <= app.clock()
ORDER BY lease_expires_at LIMIT %(limit)s
