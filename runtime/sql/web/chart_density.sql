-- web: how many tasks of a big stage began and ended, and how, in each slice of time. One pass over the stage: rows
-- hold all of a task that started once. For those that were queued again, as a warning shows, the events are read.
SELECT NULL::varchar AS event_type, t.status, count(*) AS tasks,
       width_bucket(date_part('epoch', t.started_at), %(first)s::float8, %(last)s::float8, %(slices)s::int) AS began,
       width_bucket(date_part('epoch', t.finished_at), %(first)s::float8, %(last)s::float8, %(slices)s::int) AS ended
FROM app.tasks AS t
WHERE t.stage_id = %(stage_id)s AND t.lease_number <= 1 AND t.attempt = 1 AND t.rescues = 0
  AND (t.started_at IS NULL OR t.due_at IS NULL)
GROUP BY t.status, 4, 5
UNION ALL
SELECT e.event_type, NULL, count(*),
       width_bucket(date_part('epoch', e.began_at), %(first)s::float8, %(last)s::float8, %(slices)s::int),
       width_bucket(date_part('epoch', e.ended_at), %(first)s::float8, %(last)s::float8, %(slices)s::int)
FROM (
  SELECT o.event_type, o.created_at AS began_at, lead(o.created_at) OVER (PARTITION BY o.task_id ORDER BY o.event_id) AS ended_at
  FROM app.tasks AS t JOIN app.job_events AS o ON o.task_id = t.task_id
  WHERE t.task_id = ANY(ARRAY(
      SELECT DISTINCT w.task_id FROM app.stages AS s
      JOIN app.job_events AS w ON w.job_id = s.job_id AND w.event_status IN ('failure', 'warning')
      WHERE s.stage_id = %(stage_id)s AND w.stage = s.stage AND w.task_id IS NOT NULL))
    AND t.stage_id = %(stage_id)s AND o.event_type = ANY(%(types)s::varchar[])
    AND NOT (t.lease_number <= 1 AND t.attempt = 1 AND t.rescues = 0 AND (t.started_at IS NULL OR t.due_at IS NULL))
) AS e
GROUP BY e.event_type, 4, 5
