-- web: of a stage too big to be drawn whole, the tasks that matter: failed, tried again, running longest, slowest. The
-- first two are found by the small index on failures and warnings; for the last the stage is read once.
SELECT p.task_id, p.task_number, p.stage, p.status, p.attempt, p.max_attempts, p.rescues, p.lease_owner, p.lease_number,
       p.created_at, p.started_at, p.finished_at, p.due_at, p.error ->> 'type' AS error_type, min(p.why) AS why
FROM (
  (SELECT 1 AS why, t.* FROM app.job_events AS e JOIN app.tasks AS t ON t.task_id = e.task_id
   WHERE e.job_id = %(job_id)s AND e.event_status = 'failure' AND t.stage_id = %(stage_id)s AND t.status = 'failed'
   ORDER BY e.event_id LIMIT %(most)s)
  UNION ALL
  (SELECT 2, t.* FROM app.job_events AS e JOIN app.tasks AS t ON t.task_id = e.task_id
   WHERE e.job_id = %(job_id)s AND e.event_status = 'warning' AND e.event_type = ANY(%(again)s::varchar[])
     AND t.stage_id = %(stage_id)s
   ORDER BY e.event_id LIMIT %(most)s)
  UNION ALL
  (SELECT 3, t.* FROM app.tasks AS t WHERE t.stage_id = %(stage_id)s AND t.status = 'processing'
     AND t.lease_expires_at > '-infinity'
   ORDER BY t.started_at, t.task_index LIMIT %(most)s)
  UNION ALL
  (SELECT 4, t.* FROM app.tasks AS t WHERE t.stage_id = %(stage_id)s AND t.finished_at IS NOT NULL
     AND t.started_at IS NOT NULL
   ORDER BY t.finished_at - t.started_at DESC LIMIT %(most)s)
) AS p
GROUP BY p.task_id, p.task_number, p.stage, p.status, p.attempt, p.max_attempts, p.rescues, p.lease_owner, p.lease_number,
         p.created_at, p.started_at, p.finished_at, p.due_at, p.error ->> 'type', p.task_index
ORDER BY min(p.why), p.task_index
