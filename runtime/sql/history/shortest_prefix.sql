-- history: how much of an id is enough to tell it from its neighbours in the index.
SELECT (SELECT max(job_id) FROM app.jobs WHERE job_id < %(job_id)s) AS before,
       (SELECT min(job_id) FROM app.jobs WHERE job_id > %(job_id)s) AS after
