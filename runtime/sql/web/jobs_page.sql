-- web: one page of jobs, newest first, with the stage each is in and its last event. Filters come before the limit; the
-- stages and the event are read for the listed jobs only. A parameter's text is searched for operators alone.
SELECT j.job_id, j.job_type, j.status, j.created_at, j.started_at, j.finished_at, j.stage_count, j.tasks_total, j.error,
       app.clock() AS now, s.stage, s.tasks_ended, s.counts, e.event_id, e.event_type, e.event_status,
       e.created_at AS event_at, e.stage AS event_stage, e.event_data, t.task_number
FROM (
  SELECT * FROM app.jobs AS a
  WHERE (%(status)s::varchar IS NULL OR a.status = %(status)s) AND (%(job_type)s::varchar IS NULL OR a.job_type = %(job_type)s)
    AND (%(since)s::timestamptz IS NULL OR a.created_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR a.created_at < %(until)s)
    AND (%(after_at)s::timestamptz IS NULL OR (a.created_at, a.job_id) < (%(after_at)s, %(after_id)s::varchar))
    AND (%(text)s::text IS NULL OR starts_with(a.job_id, lower(%(text)s))
         OR position(lower(%(text)s) IN lower(a.job_type)) > 0
         OR position(lower(%(text)s) IN lower(coalesce(a.error ->> 'message', ''))) > 0
         OR (%(operator)s AND position(lower(%(text)s) IN lower(a.parameters::text || coalesce(a.submission_key, ''))) > 0))
  ORDER BY a.created_at DESC, a.job_id DESC LIMIT %(limit)s
) AS j
CROSS JOIN LATERAL (
  SELECT max(o.stage) FILTER (WHERE o.started_at IS NOT NULL) AS stage,
         sum(o.tasks_completed + o.tasks_failed + o.tasks_cancelled)::int AS tasks_ended,
         json_agg(json_build_array(o.status, o.tasks_total, o.tasks_completed, o.tasks_failed, o.tasks_cancelled)
                  ORDER BY o.stage) AS counts
  FROM app.stages AS o WHERE o.job_id = j.job_id
) AS s
LEFT JOIN LATERAL (
  SELECT * FROM app.job_events AS l WHERE l.job_id = j.job_id ORDER BY l.event_id DESC LIMIT 1
) AS e ON true
LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
ORDER BY j.created_at DESC, j.job_id DESC
