-- web: what happened to the job itself, for the lane above its stages.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.event_data, NULL::int AS task_number
FROM app.job_events AS e
WHERE e.job_id = %(job_id)s AND e.task_id IS NULL AND e.stage IS NULL AND e.event_status <> 'info'
ORDER BY e.event_id LIMIT %(limit)s
