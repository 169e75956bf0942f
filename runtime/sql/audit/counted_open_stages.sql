-- audit GAP-17: the last task to end closes the stage in its transaction, so no committed state can show this. Takes no
-- lock.
SELECT job_id, 'stage ' || stage || ' (' || name || ')' AS subject, 'all ' || tasks_total || ' tasks are counted' AS detail,
       started_at AS since, count(*) OVER () AS found
FROM app.stages WHERE status = 'processing' AND tasks_open = 0
ORDER BY started_at LIMIT %(examples)s
