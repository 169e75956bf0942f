-- web: the events of drawn tasks with more than one start and one end.
SELECT e.task_id, e.event_id, e.event_type, e.event_status, e.created_at, e.attempt, e.lease_number,
       e.event_data ->> 'worker' AS worker
FROM app.job_events AS e
WHERE e.task_id = ANY(%(task_ids)s::varchar[])
ORDER BY e.event_id
