-- history: the events that are listed one by one. A long stage lists only its failures and warnings.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.attempt, e.lease_number, e.event_data,
       t.task_number, s.name AS stage_name
FROM app.job_events AS e
LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
LEFT JOIN app.stages AS s ON s.job_id = e.job_id AND s.stage = e.stage
WHERE e.job_id = %(job_id)s
  AND (%(everything)s OR e.event_status = 'warning' OR e.event_type = ANY(%(headlines)s::varchar[]))
  AND (e.task_id IS NULL OR e.event_status IN ('failure', 'warning') OR e.stage <> ALL(%(long_stages)s::int[]))
ORDER BY e.event_id
