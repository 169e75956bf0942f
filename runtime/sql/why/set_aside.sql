-- why: items of a job that workers could not handle and try again; an item that is handled is not tried again.
SELECT step, item, times, until, COALESCE(error ->> 'message', 'no error is given') AS message
FROM app.set_aside WHERE job_id = %(job_id)s AND until > app.clock() - interval '1 minute' ORDER BY since, item LIMIT 20
