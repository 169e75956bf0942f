-- history and web: the events that are listed one by one, from `after` on. A long stage lists only its failures and
-- warnings. The task events of a short stage are between the first and the last event of the stage itself;
-- only notes of a lost worker may be later. So no part reads more than it lists.
SELECT e.event_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id, e.attempt, e.lease_number, e.event_data,
       t.task_number
FROM (
  (SELECT o.event_id FROM app.job_events AS o
   WHERE o.job_id = %(job_id)s AND o.event_id > %(after)s AND o.task_id IS NULL
     AND (%(everything)s OR o.event_status = 'warning' OR o.event_type = ANY(%(headlines)s::varchar[]))
   ORDER BY o.event_id LIMIT %(limit)s)
  UNION
  (SELECT f.event_id FROM app.job_events AS f
   WHERE f.job_id = %(job_id)s AND f.event_id > %(after)s AND f.event_status IN ('failure', 'warning')
     AND (%(everything)s OR f.event_status = 'warning' OR f.event_type = ANY(%(headlines)s::varchar[]))
   ORDER BY f.event_id LIMIT %(limit)s)
  UNION
  (SELECT l.event_id
   FROM (
     SELECT b.stage, min(b.event_id) AS first,
            CASE WHEN %(everything)s OR b.stage = ANY(%(open_stages)s::int[]) THEN 9223372036854775807
                 ELSE max(b.event_id) END AS last
     FROM app.job_events AS b
     WHERE b.job_id = %(job_id)s AND b.task_id IS NULL AND b.stage = ANY(%(short_stages)s::int[]) GROUP BY b.stage
   ) AS s CROSS JOIN LATERAL (
     SELECT i.event_id FROM app.job_events AS i
     WHERE i.job_id = %(job_id)s AND i.event_id BETWEEN greatest(s.first, %(after)s + 1) AND s.last AND i.stage = s.stage
       AND (%(everything)s OR i.event_type = ANY(%(headlines)s::varchar[]))
     ORDER BY i.event_id LIMIT %(limit)s
   ) AS l)
) AS p JOIN app.job_events AS e ON e.event_id = p.event_id LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
ORDER BY e.event_id LIMIT %(limit)s
