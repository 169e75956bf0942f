-- audit GAP-23: results that were too late. Reads the index on created_at; takes no lock.
SELECT job_id, COALESCE('task ' || task_id, 'callback') AS subject, created_at AS since, count(*) OVER () AS found,
       'lease ' || COALESCE(lease_number, 0) || ', ' || COALESCE(event_data ->> 'outcome', 'an outcome')
         || ' by ' || COALESCE(event_data ->> 'worker', 'a worker') AS detail
FROM app.job_events WHERE event_type = 'stale_result_rejected' AND created_at > app.clock() - interval '1 day'
ORDER BY created_at DESC LIMIT %(examples)s
