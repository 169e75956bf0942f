-- web: whether anything at all has happened. Reads the end of one index.
SELECT max(event_id) AS last FROM app.job_events
