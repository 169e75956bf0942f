-- renewer: keeps the callbacks that this worker is running.
-- Rows that somebody is moving are passed over, not waited for: a renewal that waits holds others, and could do so in a ring.
UPDATE app.callbacks AS r SET lease_expires_at = n.moment + make_interval(secs => %(lease)s)
FROM (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n,
     unnest(%(keys)s::bigint[], %(lease_numbers)s::int[]) AS i(callback_id, lease_number)
WHERE r.callback_id = i.callback_id AND r.lease_number = i.lease_number AND r.lease_owner = %(owner)s
  AND r.status = ANY((SELECT ARRAY['processing'])::varchar[])
  AND r.callback_id = ANY(ARRAY(SELECT c.callback_id FROM app.callbacks AS c
                                WHERE c.callback_id = ANY(ARRAY(SELECT unnest(%(keys)s::bigint[])))
                                ORDER BY c.callback_id FOR NO KEY UPDATE SKIP LOCKED))
RETURNING r.callback_id::varchar AS key, NULL AS stop_reason
