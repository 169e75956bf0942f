-- open_stage, under the locks of job and stage: the ids are unique by construction, so a second opening would fail.
INSERT INTO app.tasks (task_id, job_id, stage_id, stage, task_index, task_number, task_type, item,
                       max_attempts, max_rescues, timeout, due_at, created_at)
SELECT %(stage_id)s::bigint || '-' || (i.position - 1), %(job_id)s, %(stage_id)s::bigint, %(stage)s, i.position - 1,
       %(numbered_from)s + i.position, %(task_type)s, i.item,
       %(max_attempts)s, %(max_rescues)s, make_interval(secs => %(timeout)s::float8), n.moment, n.moment
FROM unnest(%(items)s::json[]) WITH ORDINALITY AS i(item, position),
     (SELECT (SELECT app.clock()) AS moment OFFSET 0) AS n
