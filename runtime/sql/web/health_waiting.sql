-- web: how many rows could be claimed now, and since when the oldest. On the PostgreSQL bus a row that is due is the
-- message. Reads the partial indexes on due_at.
SELECT 'jobs' AS kind, count(*) AS due, min(due_at) AS oldest, app.clock() AS now FROM app.jobs
WHERE due_at <= app.clock() AND (lease_expires_at IS NULL OR lease_expires_at <= app.clock())
UNION ALL
SELECT 'tasks', count(*), min(due_at), app.clock() FROM app.tasks WHERE status = 'queued' AND due_at <= app.clock()
UNION ALL
SELECT 'callbacks', count(*), min(due_at), app.clock() FROM app.callbacks WHERE status = 'queued' AND due_at <= app.clock()
