-- history: the stages whose timeline would have more lines than are printed, counted in the database.
SELECT stage FROM app.job_events
WHERE job_id = %(job_id)s AND stage IS NOT NULL
  AND (%(everything)s OR event_status = 'warning' OR event_type = ANY(%(headlines)s::varchar[]))
GROUP BY stage HAVING count(*) > %(most)s ORDER BY stage
