-- history: how long a prefix must be to distinguish an id from its neighbours in the index.
SELECT (SELECT max(job_id) FROM app.jobs WHERE job_id < %(job_id)s) AS before,
       (SELECT min(job_id) FROM app.jobs WHERE job_id > %(job_id)s) AS after
