-- history: the last success before the first failure, within the failed stage where that has one; else the last there is.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.event_data, t.task_number
FROM app.job_events AS e LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
WHERE e.job_id = %(job_id)s AND e.event_status = 'success'
  AND (%(failure)s::bigint IS NULL OR e.event_id < %(failure)s)
ORDER BY COALESCE(e.stage = %(failed_stage)s::int, false) DESC, e.event_id DESC LIMIT 1
