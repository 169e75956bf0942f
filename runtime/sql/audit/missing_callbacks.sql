-- audit GAP-12: completed jobs that declare a callback and have none. Job and callback commit together. Takes no lock.
SELECT j.job_id, 'job' AS subject, 'type ' || j.job_type AS detail, j.finished_at AS since, count(*) OVER () AS found
FROM app.jobs AS j
WHERE j.status = 'completed' AND j.definition @> '{"on_job_complete": true}'
  AND NOT EXISTS (SELECT FROM app.callbacks AS c WHERE c.job_id = j.job_id)
ORDER BY j.finished_at DESC LIMIT %(examples)s
