-- web: the events that a diagnosis names, with their attempts and leases. Reads the primary key.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.attempt, e.lease_number, e.event_data,
       t.task_number
FROM app.job_events AS e LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
WHERE e.event_id = ANY(%(event_ids)s::bigint[])
