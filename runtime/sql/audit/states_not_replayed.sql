-- audit GAP-11: folds every row's events through the legal transitions. An event type leads to one state, so the fold
-- is a chain: each event leaves the state that the one before it led to, and the last leads to the row's. One sort of
-- the log by a short key, without wide columns. Takes no lock.
WITH kinds AS (
  SELECT k.machine, k.initial FROM unnest(%(machines)s::varchar[], %(initials)s::varchar[]) AS k(machine, initial)
), arrivals AS (
  SELECT k.machine, k.initial, l.event_type, l.target, array_agg(l.source) AS sources
  FROM app.legal_transitions AS l JOIN kinds AS k ON k.machine = l.machine
  GROUP BY k.machine, k.initial, l.event_type, l.target
), told AS (
  SELECT COALESCE(e.task_id, a.machine || ' ' || e.job_id || ' ' || COALESCE(e.stage, 0)) AS subject, e.event_id, a.initial,
         a.target, a.sources
  FROM app.job_events AS e JOIN arrivals AS a ON a.event_type = e.event_type
), chained AS (
  SELECT subject, event_id, target, lead(event_id) OVER history IS NULL AS is_last,
         lag(target, 1, initial) OVER history <> ALL (sources) AS is_broken
  FROM told WINDOW history AS (PARTITION BY subject ORDER BY event_id)
), folded AS (
  SELECT subject, count(*) AS moves, max(target) FILTER (WHERE is_last) AS status, min(event_id) AS first_event,
         min(event_id) FILTER (WHERE is_broken) AS broken
  FROM chained GROUP BY subject
), standing AS (
  SELECT 'job' AS machine, 'job ' || job_id || ' 0' AS subject, job_id, 'job' AS words, status, move_number, created_at
  FROM app.jobs
  UNION ALL
  SELECT 'stage', 'stage ' || job_id || ' ' || stage, job_id, 'stage ' || stage, status, move_number, created_at
  FROM app.stages
  UNION ALL
  SELECT 'task', task_id, job_id, 'task ' || task_id, status, move_number, created_at FROM app.tasks
  UNION ALL
  SELECT 'callback', 'callback ' || job_id || ' 0', job_id, 'callback ' || name, status, move_number, created_at
  FROM app.callbacks
), compared AS (
  SELECT s.job_id, COALESCE(s.words, f.subject) AS words, s.status, COALESCE(f.status, k.initial) AS replayed,
         s.move_number, COALESCE(f.moves, 0) AS moves, f.first_event, f.broken, s.created_at
  FROM standing AS s JOIN kinds AS k ON k.machine = s.machine FULL JOIN folded AS f ON f.subject = s.subject
)
SELECT COALESCE(c.job_id, (SELECT e.job_id FROM app.job_events AS e WHERE e.event_id = c.first_event)) AS job_id,
       c.words AS subject, c.created_at AS since, count(*) OVER () AS found,
       CASE WHEN c.status IS NULL THEN 'it has events but no row'
            WHEN c.broken IS NOT NULL THEN 'event ' || c.broken || ' does not leave the state that was reached'
            WHEN c.status <> c.replayed THEN 'it is ' || c.status || '; its events lead to ' || c.replayed
            ELSE 'it has moved ' || c.move_number || ' times; its events record ' || c.moves END AS detail
FROM compared AS c
WHERE c.broken IS NOT NULL OR c.status IS DISTINCT FROM c.replayed OR c.move_number <> c.moves
ORDER BY since, subject LIMIT %(examples)s
