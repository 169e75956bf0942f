-- reconciler: open stages whose tasks have all ended, as candidates, without those that were set aside. Checked again
-- under the locks.
SELECT stage_id, job_id FROM app.stages AS s
WHERE status = 'processing' AND tasks_open = 0
  AND NOT EXISTS (SELECT FROM app.set_aside AS a WHERE a.step = 'close stage' AND a.item = s.stage_id::varchar AND a.until > app.clock())
ORDER BY stage_id LIMIT %(limit)s
