-- audit GAP-14: leases and deadlines that nobody has ended. Reads the partial indexes of what runs; takes no lock.
WITH leased AS (
  SELECT job_id, 'task ' || task_id AS subject, lease_owner, lease_number, lease_expires_at, deadline_at
  FROM app.tasks WHERE status = 'processing'
  UNION ALL
  SELECT job_id, 'callback ' || name, lease_owner, lease_number, lease_expires_at, deadline_at
  FROM app.callbacks WHERE status = 'processing'
), endless AS (
  SELECT job_id, subject, lease_expires_at AS since,
         'lease ' || lease_number || ' of ' || lease_owner
           || CASE WHEN lease_expires_at > app.clock() + interval '1 day' THEN ' ends in more than a day'
                   WHEN lease_expires_at <= app.clock() THEN ' has expired'
                   ELSE ' is renewed past the deadline of its attempt' END AS detail
  FROM leased
  WHERE lease_expires_at <= app.clock() - make_interval(secs => %(unrescued)s)
     OR lease_expires_at > app.clock() + interval '1 day'
     OR deadline_at <= app.clock() - make_interval(secs => %(overdue)s)
)
SELECT job_id, subject, detail, NULLIF(since, 'infinity') AS since, count(*) OVER () AS found
FROM endless ORDER BY endless.since, subject LIMIT %(examples)s
