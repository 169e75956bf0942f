-- audit GAP-18: processing jobs that no worker will claim until a reconciler makes them due. Takes no lock.
SELECT j.job_id, 'job' AS subject, 'type ' || j.job_type AS detail, j.started_at AS since, count(*) OVER () AS found
FROM app.jobs AS j
WHERE j.status = 'processing' AND j.due_at IS NULL
  AND NOT EXISTS (SELECT FROM app.stages AS s WHERE s.job_id = j.job_id AND s.status = 'processing')
ORDER BY j.started_at LIMIT %(examples)s
