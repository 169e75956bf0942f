-- soak, as the owner of the schema: deletes jobs that were checked. `kept` are those that were not: a job that ended
-- when the first of them had, or later, is not deleted. The function locks the rows that it deletes.
SELECT app.retire_jobs(LEAST(app.clock(), (SELECT min(j.finished_at) FROM app.jobs AS j
                                           WHERE j.job_id = ANY(%(kept)s::varchar[]))), 10000) AS retired
