-- web: the id of the last event. Reads the end of one index.
SELECT max(event_id) AS last FROM app.job_events
