-- audit GAP-14: leases and deadlines that nobody has ended. Reads the partial indexes of what runs; takes no lock.
WITH leased AS (
  SELECT t.job_id, 'task ' || t.task_id AS subject, t.lease_owner, t.lease_number, t.lease_expires_at, t.deadline_at,
         CASE WHEN t.deadline_at IS NULL THEN s.stopped_at END AS stopped_at
  FROM app.tasks AS t LEFT JOIN app.stages AS s ON s.stage_id = t.stage_id WHERE t.status = 'processing'
  UNION ALL
  SELECT job_id, 'callback ' || name, lease_owner, lease_number, lease_expires_at, deadline_at, NULL
  FROM app.callbacks WHERE status = 'processing'
), endless AS (
  SELECT job_id, subject, lease_expires_at AS since,
         'lease ' || lease_number || ' of ' || lease_owner
           || CASE WHEN lease_expires_at > app.clock() + interval '1 day' THEN ' ends in more than a day'
                   WHEN lease_expires_at <= app.clock() THEN ' has expired'
                   WHEN stopped_at IS NOT NULL THEN ' is renewed though its task was asked to stop'
                   ELSE ' is renewed past the deadline of its attempt' END AS detail
  FROM leased
  WHERE lease_expires_at <= app.clock() - make_interval(secs => %(unrescued)s)
     OR lease_expires_at > app.clock() + interval '1 day'
     OR COALESCE(deadline_at, stopped_at) <= app.clock() - make_interval(secs => %(overrun)s)
)
SELECT job_id, subject, detail, NULLIF(since, 'infinity') AS since, count(*) OVER () AS found
FROM endless ORDER BY endless.since, subject LIMIT %(examples)s
