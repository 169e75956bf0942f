-- dead letters: which of these were recorded already: one is removed after its event is committed, and so may be
-- received twice.
SELECT e.job_id, e.event_data ->> 'message_id' AS message_id FROM app.job_events AS e
WHERE e.job_id = ANY(%(job_ids)s::varchar[]) AND e.event_type = 'message_dead_lettered'
  AND e.event_data ->> 'message_id' = ANY(%(message_ids)s::varchar[])
