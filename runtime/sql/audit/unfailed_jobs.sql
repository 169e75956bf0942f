-- audit GAP-19: a stage that ends badly ends its job in the same transaction; these did not. Takes no lock.
SELECT j.job_id, 'stage ' || s.stage || ' (' || s.name || ')' AS subject, s.finished_at AS since, count(*) OVER () AS found,
       s.status || ', and the job is ' || j.status AS detail
FROM app.jobs AS j JOIN app.stages AS s ON s.job_id = j.job_id
WHERE j.status IN ('queued', 'processing') AND s.status IN ('failed', 'cancelled')
ORDER BY s.finished_at LIMIT %(examples)s
