-- reconciler: jobs past their deadline that nobody has asked to stop, as candidates. It is asked again under the locks.
SELECT j.job_id FROM app.jobs AS j
WHERE j.deadline_at <= app.clock()
  AND NOT EXISTS (SELECT FROM app.stages AS s
                  WHERE s.job_id = j.job_id AND s.status = 'processing' AND s.stop_reason IS NOT NULL)
ORDER BY j.deadline_at LIMIT %(limit)s
