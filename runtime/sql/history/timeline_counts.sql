-- history: how many lines each stage would have, and the totals of its routine task events. One pass over the job. Its
-- tasks are counted by their first claims: counting distinct ids would sort all of them.
SELECT stage, event_type, uneventful, count(*) AS events,
       count(*) FILTER (WHERE event_type = %(claimed)s AND lease_number = 1) AS tasks,
       min(event_id) AS first_event_id, min(created_at) AS first_at, max(created_at) AS last_at
FROM (
  SELECT *, task_id IS NOT NULL AND event_status NOT IN ('failure', 'warning') AS uneventful FROM app.job_events
  WHERE job_id = %(job_id)s AND stage IS NOT NULL
    AND (%(everything)s OR event_status = 'warning' OR event_type = ANY(%(headlines)s::varchar[]))
) AS e
GROUP BY stage, event_type, uneventful ORDER BY stage, min(event_id)
