-- audit GAP-20: no reconciler runs though work is open, work waits and there is no worker (as `why` reports too), or a
-- run has just failed: then `found` is empty, without even zeros. One dead worker among live ones is not a finding: the
-- others do its work. A worker with a stuck loop is not alive. Takes no lock.
WITH known AS (
  SELECT worker, seen_at, failures, last_error, found,
         loops @? '$.*.stuck_s' AS stuck,
         seen_at > app.clock() - make_interval(secs => %(alive)s) AND NOT loops @? '$.*.stuck_s' AS alive
  FROM app.workers WHERE stopped_at IS NULL
), work AS (
  SELECT EXISTS (SELECT FROM app.jobs WHERE status = 'processing')
      OR EXISTS (SELECT FROM app.waiting_rows) OR EXISTS (SELECT FROM app.leased_rows) AS open
), waiting AS (
  SELECT min(due_at) AS since FROM app.waiting_rows
), odd AS (
  SELECT 'workers' AS subject, since AS seen_at, 'work has waited since then, and no worker is alive' AS detail FROM waiting
  WHERE since <= app.clock() - make_interval(secs => %(alive)s) AND NOT EXISTS (SELECT FROM known)
  UNION ALL
  SELECT 'worker ' || k.worker, k.seen_at, CASE WHEN k.stuck THEN 'stuck' ELSE 'silent' END || ', and no other worker is alive' AS detail
  FROM known AS k CROSS JOIN work
  WHERE work.open AND NOT EXISTS (SELECT FROM known AS other WHERE other.alive)
  UNION ALL
  SELECT 'worker ' || k.worker, k.seen_at, 'its last run failed: ' || COALESCE(k.last_error ->> 'message', 'no error given')
  FROM known AS k WHERE k.alive AND k.failures > 0 AND k.found = '{}'
)
SELECT NULL::varchar AS job_id, subject, detail, seen_at AS since, count(*) OVER () AS found
FROM odd ORDER BY seen_at DESC LIMIT %(examples)s
