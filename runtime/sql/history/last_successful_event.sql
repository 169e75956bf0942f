-- history: the last success before the first failure, within the failed stage if that has one; else the last of all.
-- Each is found backwards from the end of one index, so the length of the history does not matter.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.event_data, t.task_number
FROM (
  (SELECT n.*, 1 AS place FROM app.job_events AS n
   WHERE n.job_id = %(job_id)s AND n.event_status = 'success' AND n.stage = %(failed_stage)s::int
     AND %(failed_stage)s::int IS NOT NULL AND n.event_id < %(failure)s::bigint
   ORDER BY n.event_id DESC LIMIT 1)
  UNION ALL
  (SELECT a.*, 2 FROM app.job_events AS a
   WHERE a.job_id = %(job_id)s AND a.event_status = 'success'
     AND a.event_id < COALESCE(%(failure)s::bigint, 9223372036854775807)
   ORDER BY a.event_id DESC LIMIT 1)
) AS e LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
ORDER BY e.place LIMIT 1
