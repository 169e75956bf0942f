-- audit: an event needs its job, and a damaged database may have lost it.
SELECT job_id FROM app.jobs WHERE job_id = ANY(%(job_ids)s::varchar[])
