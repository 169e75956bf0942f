-- lock_watch: whether the session `pid` waits for a lock, and who holds it: at the ends of the chain of those that wait for
-- each other, the sessions that wait for no lock, and the prepared transactions. Those have no process: pg_blocking_pids
-- calls each of them 0. They are found by the locks that they hold on what is waited for, and known by the lock on their
-- own number.
WITH RECURSIVE blocker(pid) AS (
  SELECT unnest(pg_blocking_pids(%(pid)s::int))
  UNION
  SELECT unnest(pg_blocking_pids(b.pid)) FROM blocker AS b WHERE b.pid <> 0
), lock AS MATERIALIZED (
  SELECT *, (locktype, database, relation, page, tuple, virtualxid, transactionid, classid, objid, objsubid)::text AS object
  FROM pg_locks WHERE EXISTS (SELECT FROM blocker WHERE pid = 0)
), holder(pid, gid, "user", application, state, query, since) AS (
  SELECT a.pid, NULL, a.usename::text, a.application_name, a.state, a.query, a.xact_start
  FROM blocker AS b JOIN pg_stat_activity AS a ON a.pid = b.pid
  WHERE cardinality(pg_blocking_pids(b.pid)) = 0
  UNION ALL
  SELECT NULL, p.gid, p.owner::text, NULL, NULL, NULL, p.prepared
  FROM pg_prepared_xacts AS p WHERE p.transaction IN (
    SELECT number.transactionid
    FROM lock AS wanted JOIN lock AS held ON held.object = wanted.object
    JOIN lock AS number ON number.virtualtransaction = held.virtualtransaction AND number.locktype = 'transactionid'
    WHERE (wanted.pid = %(pid)s::int OR wanted.pid IN (SELECT pid FROM blocker)) AND NOT wanted.granted
      AND held.pid IS NULL AND held.granted AND number.pid IS NULL AND number.granted
  )
)
SELECT w.waits, h.pid, h.gid, h."user", h.application, h.state, h.query, extract(epoch FROM h.since)::float8 AS since
FROM (SELECT EXISTS (SELECT FROM blocker) AS waits) AS w LEFT JOIN holder AS h ON true
ORDER BY h.since
