-- history: the event that the timeline marks with ERROR HERE.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.event_data, t.task_number
FROM app.job_events AS e LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
WHERE e.job_id = %(job_id)s AND e.event_status = 'failure' ORDER BY e.event_id LIMIT 1
