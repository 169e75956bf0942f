-- reconciler: tasks whose lease has expired, as candidates, without those that were set aside. Checked again under the
-- locks.
SELECT task_id AS key, job_id, stage_id, stage, task_index, task_number, task_type, NULL AS item, attempt, max_attempts,
       lease_number, lease_owner, deadline_at, rescues, max_rescues
FROM app.tasks AS t WHERE status = 'processing' AND lease_expires_at <= app.clock()
  AND NOT EXISTS (SELECT FROM app.set_aside AS a WHERE a.step = 'rescue task' AND a.item = t.task_id AND a.until > app.clock())
ORDER BY lease_expires_at LIMIT %(limit)s
