-- web: what happened to one task, oldest first.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.attempt, e.lease_number, e.event_data,
       t.task_number
FROM app.job_events AS e JOIN app.tasks AS t ON t.task_id = e.task_id
WHERE e.task_id = %(task_id)s
ORDER BY e.event_id LIMIT %(limit)s
