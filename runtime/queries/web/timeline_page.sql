-- web: one page of the lines of a job's timeline. Stages too long to be listed show only their failures and warnings.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.attempt, e.lease_number, e.event_data,
       t.task_number
FROM app.job_events AS e LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
WHERE e.job_id = %(job_id)s AND e.event_id > %(after)s
  AND (e.event_status = 'warning' OR e.event_type = ANY(%(headlines)s::varchar[]))
  AND (e.task_id IS NULL OR e.event_status IN ('failure', 'warning') OR e.stage <> ALL(%(long_stages)s::int[]))
ORDER BY e.event_id LIMIT %(limit)s
