-- audit GAP-17: counting the last task closes the stage, so no committed state can show this. Takes no lock.
SELECT job_id, 'stage ' || stage || ' (' || name || ')' AS subject, 'all ' || tasks_total || ' tasks are counted' AS detail,
       started_at AS since, count(*) OVER () AS found
FROM app.stages WHERE status = 'processing' AND tasks_completed + tasks_failed + tasks_cancelled = tasks_total
ORDER BY started_at LIMIT %(examples)s
