-- submit: the key makes two racing submissions one job; the loser gets no row and changes nothing. The stages are
-- inserted with the job: its shape is fixed from then on.
WITH made AS (
  INSERT INTO app.jobs (job_id, job_type, parameters, submission_key, definition, stage_count, deadline, deadline_at, event_type, event_status, event_data)
  VALUES (%(job_id)s, %(job_type)s, %(parameters)s::json, %(submission_key)s, %(definition)s::jsonb, %(stage_count)s,
          make_interval(secs => %(deadline)s::float8), app.clock() + make_interval(secs => %(deadline)s::float8),
          %(event_type)s, %(event_status)s, %(event_data)s::jsonb)
  ON CONFLICT (job_id) DO NOTHING
  RETURNING job_id
)
INSERT INTO app.stages (job_id, stage, name, task_type, definition)
SELECT m.job_id, s.stage, s.name, s.task_type, s.definition
FROM made AS m, unnest(%(stages)s::int[], %(names)s::varchar[], %(task_types)s::varchar[], %(definitions)s::jsonb[])
  AS s(stage, name, task_type, definition)
ORDER BY s.stage
RETURNING stage_id
