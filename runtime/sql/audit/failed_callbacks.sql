-- audit GAP-13: callbacks that were given up. Of a week, so that the alarm ends. Takes no lock.
SELECT job_id, 'callback ' || name AS subject, finished_at AS since, count(*) OVER () AS found,
       'after ' || attempt || ' attempts: ' || COALESCE(event_data #>> '{error,message}', 'no error given') AS detail
FROM app.callbacks WHERE status = 'failed' AND finished_at > app.clock() - interval '7 days'
ORDER BY finished_at DESC LIMIT %(examples)s
