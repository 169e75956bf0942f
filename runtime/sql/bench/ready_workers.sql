-- bench, before a run: the workers that have written a heartbeat.
SELECT count(*) AS ready FROM app.workers WHERE stopped_at IS NULL
