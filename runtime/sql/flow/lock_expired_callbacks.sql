-- rescue: which of these leases have expired and are not locked by another client. The rows are found by their keys.
SELECT callback_id::varchar AS key, lease_number FROM app.callbacks
WHERE callback_id = ANY(ARRAY(SELECT unnest(%(keys)s::bigint[]))) AND status = ANY((SELECT ARRAY['processing'])::varchar[])
  AND lease_expires_at <= app.clock()
ORDER BY callback_id FOR NO KEY UPDATE SKIP LOCKED
