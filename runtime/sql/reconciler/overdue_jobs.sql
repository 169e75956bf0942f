-- reconciler: jobs past their deadline that were not asked to stop, as candidates, without those that were set aside.
-- Checked again under the locks.
SELECT j.job_id FROM app.jobs AS j
WHERE j.deadline_at <= app.clock()
  AND NOT EXISTS (SELECT FROM app.stages AS s
                  WHERE s.job_id = j.job_id AND s.status = 'processing' AND s.stop_reason IS NOT NULL)
  AND NOT EXISTS (SELECT FROM app.set_aside AS a WHERE a.step = 'end overdue job' AND a.item = j.job_id AND a.until > app.clock())
ORDER BY j.deadline_at LIMIT %(limit)s
