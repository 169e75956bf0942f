-- soak, as the owner of the schema: jobs that were judged leave. `kept` are those that were not: no job goes that ended
-- when the first of them had, or later. The function locks what it deletes.
SELECT app.retire_jobs(LEAST(app.clock(), (SELECT min(j.finished_at) FROM app.jobs AS j
                                           WHERE j.job_id = ANY(%(kept)s::varchar[]))), 10000) AS retired
