-- reconciler: callbacks whose lease has expired, as candidates, without those that were set aside. Checked again under
-- the lock.
SELECT callback_id::varchar AS key, job_id, job_type, name, attempt, max_attempts, lease_number, lease_owner, rescues,
       max_rescues
FROM app.callbacks AS c WHERE status = 'processing' AND lease_expires_at <= app.clock()
  AND NOT EXISTS (SELECT FROM app.set_aside AS a WHERE a.step = 'rescue callback' AND a.item = c.callback_id::varchar AND a.until > app.clock())
ORDER BY callback_id LIMIT %(limit)s
