-- reconciler: processing jobs that have neither an open stage nor a message, as candidates, without those that were set
-- aside.
SELECT j.job_id FROM app.jobs AS j
WHERE j.status = 'processing' AND j.due_at IS NULL
  AND NOT EXISTS (SELECT FROM app.stages AS s WHERE s.job_id = j.job_id AND s.status = 'processing')
  AND NOT EXISTS (SELECT FROM app.set_aside AS a WHERE a.step = 'send for job' AND a.item = j.job_id AND a.until > app.clock())
ORDER BY j.job_id LIMIT %(limit)s
