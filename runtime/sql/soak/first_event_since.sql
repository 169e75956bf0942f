-- soak: the time of the first task event since a restart of the server. Reads the index on created_at; takes no lock.
SELECT min(created_at) AS moved FROM app.job_events WHERE created_at > %(since)s AND task_id IS NOT NULL
