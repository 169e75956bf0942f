-- app: the jobs whose id begins with a prefix.
SELECT job_id FROM app.jobs WHERE job_id >= %(prefix)s AND job_id < %(after)s ORDER BY job_id LIMIT 6
