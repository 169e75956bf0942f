-- audit GAP-19: open jobs with a failed or cancelled stage, which should end its job in the same transaction. Takes no
-- lock.
SELECT j.job_id, 'stage ' || s.stage || ' (' || s.name || ')' AS subject, s.finished_at AS since, count(*) OVER () AS found,
       s.status || ', and the job is ' || j.status AS detail
FROM app.jobs AS j JOIN app.stages AS s ON s.job_id = j.job_id
WHERE j.status IN ('queued', 'processing') AND s.status IN ('failed', 'cancelled')
ORDER BY s.finished_at LIMIT %(examples)s
