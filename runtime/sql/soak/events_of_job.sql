-- soak: every event of a job that has ended, for its check. Reads one snapshot; takes no lock.
SELECT event_id, event_type, event_status, event_data, task_id, stage, attempt, lease_number, created_at
FROM app.job_events WHERE job_id = %(job_id)s ORDER BY event_id
