-- audit GAP-31: items that a worker could not handle and has set aside, and that it will try again. An item that is
-- handled is not tried again, and is not a finding a minute later. Takes no lock.
SELECT job_id, step || ' ' || item AS subject, since, count(*) OVER () AS found,
       CASE times WHEN 1 THEN 'failed once' ELSE 'failed ' || times || ' times in a row' END
         || ', the last time on ' || worker || ': ' || COALESCE(error ->> 'message', 'no error is given') AS detail
FROM app.set_aside WHERE until > app.clock() - interval '1 minute'
ORDER BY since, item LIMIT %(examples)s
