-- reconciler: a job under way that has neither an open stage nor a message is sent for again.
UPDATE app.jobs AS r SET due_at = app.clock()
WHERE r.job_id = ANY(ARRAY(
  SELECT j.job_id FROM app.jobs AS j
  WHERE j.status = 'processing' AND j.due_at IS NULL
    AND NOT EXISTS (SELECT FROM app.stages AS s WHERE s.job_id = j.job_id AND s.status = 'processing')
  ORDER BY j.job_id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED))
RETURNING r.job_id
