-- audit GAP-29: jobs past their deadline that no reconciler has ended. Reads the partial index on it; takes no lock.
SELECT j.job_id, 'job' AS subject, 'type ' || j.job_type || ', to end within ' || j.deadline AS detail,
       j.deadline_at AS since, count(*) OVER () AS found
FROM app.jobs AS j
WHERE j.deadline_at <= app.clock() - make_interval(secs => %(unrescued)s)
  AND NOT EXISTS (SELECT FROM app.stages AS s
                  WHERE s.job_id = j.job_id AND s.status = 'processing' AND s.stop_reason IS NOT NULL)
ORDER BY j.deadline_at LIMIT %(examples)s
