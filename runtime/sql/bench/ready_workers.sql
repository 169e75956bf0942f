-- bench, before a run: the workers that have come to look for work.
SELECT count(*) AS ready FROM app.workers WHERE stopped_at IS NULL
