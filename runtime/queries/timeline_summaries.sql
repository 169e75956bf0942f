-- history: what a long stage's uneventful task events add up to.
SELECT stage, event_type, count(*) AS events, count(DISTINCT task_id) AS tasks,
       min(event_id) AS first_event_id, min(created_at) AS first_at, max(created_at) AS last_at
FROM app.job_events
WHERE job_id = %(job_id)s AND stage = ANY(%(long_stages)s::int[]) AND task_id IS NOT NULL
  AND event_status NOT IN ('failure', 'warning')
  AND (%(everything)s OR event_type = ANY(%(headlines)s::varchar[]))
GROUP BY stage, event_type ORDER BY stage, min(event_id)
