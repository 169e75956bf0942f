-- reconciler: overdue running tasks, though their worker renews their lease: those whose attempt had a deadline, and
-- those without one whose stage was asked to stop; without those that were set aside. Under one lease number both stay
-- overdue, so nothing is checked again: the deadline of a task that waits for a slot moves with its lease, and is never
-- this long past while the lease is valid.
SELECT t.task_id AS key, t.job_id, t.stage_id, t.stage, t.task_index, t.task_number, t.task_type, NULL AS item, t.attempt,
       t.max_attempts, t.lease_number, t.lease_owner, t.deadline_at, t.rescues, t.max_rescues
FROM app.tasks AS t JOIN app.stages AS s ON s.stage_id = t.stage_id
WHERE t.status = 'processing' AND t.lease_expires_at > app.clock()
  AND (t.deadline_at <= app.clock() - make_interval(secs => %(overrun)s)
       OR t.deadline_at IS NULL AND s.stopped_at <= app.clock() - make_interval(secs => %(stop_grace)s))
  AND NOT EXISTS (SELECT FROM app.set_aside AS a WHERE a.step = 'end overdue task' AND a.item = t.task_id AND a.until > app.clock())
ORDER BY t.lease_expires_at LIMIT %(limit)s
