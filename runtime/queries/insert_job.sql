-- submit: the key makes two racing submissions one job; the loser gets no row and changes nothing.
INSERT INTO app.jobs (job_id, job_type, parameters, submission_key, definition, stage_count, event_type, event_status, event_data)
VALUES (%(job_id)s, %(job_type)s, %(parameters)s::json, %(submission_key)s, %(definition)s::jsonb, %(stage_count)s,
        %(event_type)s, %(event_status)s, %(event_data)s::jsonb)
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id
