-- soak, as the owner of the schema: deletes jobs that have been checked. `kept` are those that have not: no job is
-- deleted that ended at the same time as the first of them, or later. The function locks what it deletes.
SELECT app.retire_jobs(LEAST(app.clock(), (SELECT min(j.finished_at) FROM app.jobs AS j
                                           WHERE j.job_id = ANY(%(kept)s::varchar[]))), 10000) AS retired
