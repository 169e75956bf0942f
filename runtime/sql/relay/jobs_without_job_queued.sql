-- relay and worker, under the locks of these jobs: submitted or resumed, and no job_queued since. Reads the end of each
-- job's events, of which it has only a few before it has started.
SELECT j.job_id FROM app.jobs AS j CROSS JOIN LATERAL (
  SELECT e.event_type FROM app.job_events AS e
  WHERE e.job_id = j.job_id AND e.event_type IN ('job_created', 'job_resumed', 'job_queued')
  ORDER BY e.event_id DESC LIMIT 1
) AS last
WHERE j.job_id = ANY(%(job_ids)s::varchar[]) AND j.status = 'queued' AND last.event_type <> 'job_queued'
