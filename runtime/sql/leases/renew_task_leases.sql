-- renewer: keeps what this worker is running, and hears which of it was asked to stop. The time of a task that still waits
-- for its place in the worker has not begun: its deadline moves on with its lease.
-- Rows that somebody is moving are passed over, not waited for: a renewal that waits holds others, and could do so in a ring.
-- The state is written so that no partial index answers it: the planner takes that of the leased to be empty, and would
-- compare each row of it with each key.
UPDATE app.tasks AS r
SET lease_expires_at = n.moment + make_interval(secs => %(lease)s),
    deadline_at = CASE WHEN i.begun THEN r.deadline_at ELSE n.moment + r.timeout END
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n,
     unnest(%(keys)s::varchar[], %(lease_numbers)s::int[], %(begun)s::bool[]) AS i(task_id, lease_number, begun),
     app.stages AS s
WHERE r.task_id = i.task_id AND r.lease_number = i.lease_number AND r.lease_owner = %(owner)s
  AND r.status = ANY((SELECT ARRAY['processing'])::varchar[]) AND s.stage_id = r.stage_id
  AND r.task_id = ANY(ARRAY(SELECT t.task_id FROM app.tasks AS t
                            WHERE t.task_id = ANY(ARRAY(SELECT unnest(%(keys)s::varchar[])))
                            ORDER BY t.task_id FOR NO KEY UPDATE SKIP LOCKED))
RETURNING r.task_id AS key, s.stop_reason
