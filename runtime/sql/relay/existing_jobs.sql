-- audit: which jobs exist: an event needs its job, which a damaged database may have lost.
SELECT job_id FROM app.jobs WHERE job_id = ANY(%(job_ids)s::varchar[])
