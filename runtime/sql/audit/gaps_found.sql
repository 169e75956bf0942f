-- audit GAP-24: what reconcilers found and repaired. Reads the index on created_at; takes no lock.
SELECT job_id, COALESCE('stage ' || stage, 'job') AS subject, COALESCE(event_data ->> 'gap', 'no gap given') AS detail,
       created_at AS since, count(*) OVER () AS found
FROM app.job_events WHERE event_type = 'gap_found' AND created_at > app.clock() - interval '1 day'
ORDER BY created_at DESC LIMIT %(examples)s
