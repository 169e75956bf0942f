-- bench: the status of a job, and seconds from its submission to its end by the database's clock.
SELECT status, extract(epoch FROM finished_at - created_at)::float8 AS seconds FROM app.jobs WHERE job_id = %(job_id)s
