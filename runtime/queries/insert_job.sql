-- submit: the key makes two racing submissions one job; the loser gets no row and changes nothing.
INSERT INTO app.jobs (job_id, job_type, parameters, submission_key, definition, stage_count, deadline, deadline_at, event_type, event_status, event_data)
VALUES (%(job_id)s, %(job_type)s, %(parameters)s::json, %(submission_key)s, %(definition)s::jsonb, %(stage_count)s,
        make_interval(secs => %(deadline)s::float8), app.clock() + make_interval(secs => %(deadline)s::float8),
        %(event_type)s, %(event_status)s, %(event_data)s::jsonb)
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id
