-- reconciler: open stages whose tasks have all been counted. Closing is looked at again under the locks.
SELECT stage_id, job_id FROM app.stages
WHERE status = 'processing' AND tasks_completed + tasks_failed + tasks_cancelled = tasks_total
ORDER BY stage_id LIMIT %(limit)s
