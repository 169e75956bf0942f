-- rescue: these jobs are sent for, as far as they are still under way with neither an open stage nor a message.
UPDATE app.jobs AS r SET due_at = app.clock()
WHERE r.job_id = ANY(ARRAY(
  SELECT j.job_id FROM app.jobs AS j
  WHERE j.job_id = ANY(ARRAY(SELECT unnest(%(job_ids)s::varchar[]))) AND j.status = ANY((SELECT ARRAY['processing'])::varchar[])
    AND j.due_at IS NULL AND NOT EXISTS (SELECT FROM app.stages AS s WHERE s.job_id = j.job_id AND s.status = 'processing')
  ORDER BY j.job_id FOR NO KEY UPDATE SKIP LOCKED))
RETURNING r.job_id
