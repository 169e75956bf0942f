-- audit GAP-14: leases and deadlines that have passed without effect. Reads the partial indexes of running rows; takes
-- no lock.
WITH leased AS (
  SELECT l.job_id, l.subject, l.lease_owner, l.lease_number, l.lease_expires_at, l.deadline_at,
         CASE WHEN l.deadline_at IS NULL THEN s.stopped_at END AS stopped_at
  FROM app.leased_rows AS l LEFT JOIN app.tasks AS t ON l.queue = 'task' AND t.task_id = l.key
    LEFT JOIN app.stages AS s ON s.stage_id = t.stage_id
  WHERE NOT EXISTS (SELECT FROM app.waiting_rows AS w WHERE w.queue = l.queue AND w.key = l.key)
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
