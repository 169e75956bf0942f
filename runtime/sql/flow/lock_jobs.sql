-- every move of a stage or its tasks, before it: parents are locked before children, in the order of their ids.
SELECT job_id, job_type, status, parameters, definition, tasks_total, lease_number, lease_owner, message_failures, deadline,
       deadline_at <= app.clock() AS is_overdue
FROM app.jobs WHERE job_id = ANY(ARRAY(SELECT unnest(%(job_ids)s::varchar[]))) ORDER BY job_id FOR NO KEY UPDATE
