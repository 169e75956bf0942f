-- soak: the number of rows that have not ended, at the end when all should have. Takes no lock.
SELECT (SELECT count(*) FROM app.jobs WHERE status IN ('queued', 'processing')) AS jobs,
       (SELECT count(*) FROM app.stages WHERE status IN ('pending', 'processing')) AS stages,
       (SELECT count(*) FROM app.tasks WHERE status IN ('queued', 'processing')) AS tasks,
       (SELECT count(*) FROM app.callbacks WHERE status IN ('queued', 'processing')) AS callbacks,
       (SELECT count(*) FROM app.jobs) AS all_jobs
