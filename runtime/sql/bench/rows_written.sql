-- bench, after a run: a row version for each task's creation and for each of its moves, and a row for each event.
SELECT (SELECT count(*) + sum(move_number) FROM app.tasks WHERE job_id = %(job_id)s)
       + (SELECT count(*) FROM app.job_events WHERE job_id = %(job_id)s) AS row_versions,
       (SELECT count(*) FROM app.job_events WHERE job_id = %(job_id)s) AS events
