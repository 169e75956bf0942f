-- session.note: events that record an action. The function is the owner's: a worker may not write the log itself.
SELECT app.write_notes(%(job_id)s::varchar[], %(task_id)s::varchar[], %(stage)s::int[], %(attempt)s::int[],
                       %(lease_number)s::int[], %(type)s::varchar[], %(status)s::varchar[], %(data)s::jsonb[])
