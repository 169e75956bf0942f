-- broker loops: with the worker's heartbeat, for how long sending has failed, or for how long the oldest message that
-- its relays should have sent has been overdue; and the number of dead letters without a job. Reads the beginning of
-- one range of an index for each type.
UPDATE app.workers AS w SET bus = %(bus)s, dead_letters = %(dead_letters)s, unsent_s = GREATEST(%(failing)s::float8, (
  SELECT extract(epoch FROM app.clock() - min(q.due_at))::float8
  FROM unnest(%(queues)s::varchar[], %(types)s::varchar[]) AS k(queue, type) CROSS JOIN LATERAL (
    SELECT t.due_at FROM app.waiting_rows AS t WHERE t.queue = k.queue AND t.type = k.type ORDER BY t.due_at LIMIT 1
  ) AS q WHERE q.due_at <= app.clock()))
WHERE w.worker = %(worker)s
