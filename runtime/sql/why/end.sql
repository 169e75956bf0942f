-- why: the last end of a job that has ended; the index begins with the job. Takes no lock.
SELECT event_id, event_type, event_status, created_at, stage, task_id, event_data, NULL::int AS task_number
FROM app.job_events
WHERE job_id = %(job_id)s AND event_type = ANY(%(types)s::varchar[])
ORDER BY event_id DESC LIMIT 1
