-- soak: the states of the jobs that the driver has not checked yet. `settled` is the time since a job and its callbacks
-- have ended, in seconds; NULL while they have not. Takes no lock.
SELECT j.job_id, j.status,
       CASE WHEN NOT EXISTS (SELECT FROM app.callbacks AS c
                             WHERE c.job_id = j.job_id AND c.status IN ('queued', 'processing'))
            THEN extract(epoch FROM app.clock() - j.finished_at)::float8 END AS settled
FROM app.jobs AS j WHERE j.job_id = ANY(%(job_ids)s::varchar[])
