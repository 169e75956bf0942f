-- worker --until-idle: whether any job of these types, or a callback of one, is still open.
SELECT EXISTS (SELECT FROM app.jobs WHERE job_type = ANY(%(types)s::varchar[]) AND status IN ('queued', 'processing'))
    OR EXISTS (SELECT FROM app.callbacks WHERE job_type = ANY(%(types)s::varchar[]) AND status IN ('queued', 'processing'))
    AS unfinished
