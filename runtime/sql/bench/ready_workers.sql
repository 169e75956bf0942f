-- bench, before a run: the number of workers that are ready for work.
SELECT count(*) AS ready FROM app.workers WHERE stopped_at IS NULL
