-- reconciler: callbacks whose lease ran out, locked; another reconciler takes others.
SELECT callback_id::varchar AS key, job_id, job_type, name, attempt, max_attempts, lease_number, lease_owner, rescues,
       max_rescues
FROM app.callbacks WHERE status = 'processing' AND lease_expires_at <= app.clock()
ORDER BY callback_id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
