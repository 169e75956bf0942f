-- bench: how long a full queue took to drain, from its first claim to the end of its stage.
SELECT extract(epoch FROM s.finished_at - min(t.started_at))::float8 AS seconds
FROM app.stages AS s JOIN app.tasks AS t ON t.stage_id = s.stage_id
WHERE s.job_id = %(job_id)s AND s.status = 'completed' GROUP BY s.finished_at
