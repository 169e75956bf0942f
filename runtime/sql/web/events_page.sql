-- web: one page of a job's events after (or, where `back`, before) an event, filters before the limit. Text is searched
-- in types, and for operators in the data of events that are not plain successes.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.attempt, e.lease_number, e.event_data,
       t.task_number
FROM app.job_events AS e LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
WHERE e.job_id = %(job_id)s AND e.event_id > %(after)s
  AND (%(statuses)s::varchar[] IS NULL OR e.event_status = ANY(%(statuses)s))
  AND (%(types)s::varchar[] IS NULL OR e.event_type = ANY(%(types)s) OR e.event_status = 'warning')
  AND (%(stage)s::int IS NULL OR e.stage = %(stage)s)
  AND (%(task_id)s::varchar IS NULL OR e.task_id = %(task_id)s)
  AND (%(text)s::text IS NULL OR position(lower(%(text)s) IN e.event_type) > 0
       OR (%(operator)s AND e.event_status <> 'success' AND position(lower(%(text)s) IN lower(e.event_data::text)) > 0))
ORDER BY e.event_id LIMIT %(limit)s
