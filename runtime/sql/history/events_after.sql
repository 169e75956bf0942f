-- history: the events that a follower has not received. Only events of transactions older than all open ones: no later
-- commit can add one before them, in the order of transaction and event.
SELECT e.event_id, e.transaction_id::text AS transaction_id, e.event_type, e.event_status, e.created_at, e.stage, e.task_id,
       e.attempt, e.lease_number, e.event_data, t.task_number
FROM app.job_events AS e LEFT JOIN app.tasks AS t ON t.task_id = e.task_id
WHERE e.job_id = %(job_id)s AND (e.transaction_id, e.event_id) > (%(transaction_id)s::text::xid8, %(event_id)s)
  AND e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.transaction_id, e.event_id LIMIT %(limit)s
