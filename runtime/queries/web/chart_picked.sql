-- web: of a stage too big to be drawn whole, the tasks that matter: failed, tried again, running longest, slowest.
SELECT p.task_id, p.task_number, p.stage, p.status, p.attempt, p.max_attempts, p.rescues, p.lease_owner, p.lease_number,
       p.created_at, p.started_at, p.finished_at, p.due_at, p.error ->> 'type' AS error_type, min(p.why) AS why
FROM (
  (SELECT 1 AS why, t.* FROM app.tasks AS t WHERE t.stage_id = %(stage_id)s AND t.status = 'failed'
   ORDER BY t.finished_at, t.task_index LIMIT %(most)s)
  UNION ALL
  (SELECT 2, t.* FROM app.tasks AS t WHERE t.stage_id = %(stage_id)s AND (t.attempt > 1 OR t.rescues > 0)
   ORDER BY t.task_index LIMIT %(most)s)
  UNION ALL
  (SELECT 3, t.* FROM app.tasks AS t WHERE t.stage_id = %(stage_id)s AND t.status = 'processing'
   ORDER BY t.started_at, t.task_index LIMIT %(most)s)
  UNION ALL
  (SELECT 4, t.* FROM app.tasks AS t WHERE t.stage_id = %(stage_id)s AND t.finished_at IS NOT NULL
     AND t.started_at IS NOT NULL
   ORDER BY t.finished_at - t.started_at DESC, t.task_index LIMIT %(most)s)
) AS p
GROUP BY p.task_id, p.task_number, p.stage, p.status, p.attempt, p.max_attempts, p.rescues, p.lease_owner, p.lease_number,
         p.created_at, p.started_at, p.finished_at, p.due_at, p.error ->> 'type', p.task_index
ORDER BY min(p.why), p.task_index
