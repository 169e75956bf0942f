-- submit, in the transaction that made the job: its shape is fixed from here on.
INSERT INTO app.stages (job_id, stage, name, task_type, definition)
SELECT %(job_id)s, s.stage, s.name, s.task_type, s.definition
FROM unnest(%(stages)s::int[], %(names)s::varchar[], %(task_types)s::varchar[], %(definitions)s::jsonb[])
  AS s(stage, name, task_type, definition)
