-- audit GAP-11: replay of job_events
WITH arrivals AS (
  SELECT
    l.machine,
    i.initial,
    l.event_type,
    l.target,
    ARRAY_AGG(l.source) AS sources
  FROM app.legal_transitions AS l
  JOIN (VALUES
    ('job', 'queued'),
    ('stage', 'pending'),
    ('task', 'queued'),
    ('callback', 'queued')) AS i(machine, initial)
    ON i.machine = l.machine
  GROUP BY
    l.machine,
    i.initial,
    l.event_type,
    l.target
), logged AS (
  SELECT
    CASE a.machine
      WHEN 'job'
      THEN COALESCE(CAST(e.job_id AS VARCHAR), '')
      WHEN 'stage'
      THEN COALESCE(CAST(e.job_id AS VARCHAR), '') || ' ' || COALESCE(CAST(e.stage AS VARCHAR), '')
      WHEN 'task'
      THEN COALESCE(CAST(e.task_id AS VARCHAR), '')
      WHEN 'callback'
      THEN COALESCE(CAST(e.job_id AS VARCHAR), '')
    END AS subject,
    a.machine,
    e.event_id,
    a.initial,
    a.target,
    a.sources
  FROM app.job_events AS e
  JOIN arrivals AS a
    ON a.event_type = e.event_type
), chained AS (
  SELECT
    subject,
    machine,
    event_id,
    target,
    LEAD(event_id) OVER history IS NULL AS is_last,
    LAG(target, 1, initial) OVER history <> ALL(sources) AS is_broken
  FROM logged
  WINDOW history AS (PARTITION BY subject, machine ORDER BY event_id)
), folded AS (
  SELECT
    subject,
    machine,
    COUNT(*) AS moves,
    MAX(target) FILTER(WHERE
      is_last) AS status,
    MIN(event_id) AS first_event,
    MIN(event_id) FILTER(WHERE
      is_broken) AS broken
  FROM chained
  GROUP BY
    subject,
    machine
), records AS (
  SELECT
    'job' AS machine,
    'queued' AS initial,
    COALESCE(CAST(r.job_id AS VARCHAR), '') AS subject,
    'job' AS name,
    r.job_id AS job_id,
    r.status,
    r.move_number,
    r.created_at
  FROM app.jobs AS r
  UNION ALL
  SELECT
    'stage' AS machine,
    'pending' AS initial,
    COALESCE(CAST(r.job_id AS VARCHAR), '') || ' ' || COALESCE(CAST(r.stage AS VARCHAR), '') AS subject,
    'stage' || ' ' || COALESCE(CAST(r.stage AS VARCHAR), '') AS name,
    r.job_id AS job_id,
    r.status,
    r.move_number,
    r.created_at
  FROM app.stages AS r
  UNION ALL
  SELECT
    'task' AS machine,
    'queued' AS initial,
    COALESCE(CAST(r.task_id AS VARCHAR), '') AS subject,
    'task' || ' ' || COALESCE(CAST(r.task_id AS VARCHAR), '') AS name,
    r.job_id AS job_id,
    r.status,
    r.move_number,
    r.created_at
  FROM app.tasks AS r
  UNION ALL
  SELECT
    'callback' AS machine,
    'queued' AS initial,
    COALESCE(CAST(r.job_id AS VARCHAR), '') AS subject,
    'callback' AS name,
    r.job_id AS job_id,
    r.status,
    r.move_number,
    r.created_at
  FROM app.callbacks AS r
), compared AS (
  SELECT
    COALESCE(r.name, f.machine || ' ' || f.subject) AS name,
    r.job_id,
    r.status,
    COALESCE(f.status, r.initial) AS replayed,
    r.move_number,
    COALESCE(f.moves, 0) AS moves,
    f.first_event,
    f.broken,
    r.created_at
  FROM records AS r
  FULL JOIN folded AS f
    ON f.subject = r.subject AND f.machine = r.machine
)
SELECT
  COALESCE(
    c.job_id,
    (
      SELECT
        e.job_id
      FROM app.job_events AS e
      WHERE
        e.event_id = c.first_event
    )
  ) AS job_id,
  c.name AS subject,
  c.created_at AS since,
  COUNT(*) OVER () AS found,
  CASE
    WHEN c.status IS NULL
    THEN 'it has events but no row'
    WHEN NOT c.broken IS NULL
    THEN 'event ' || c.broken || ' does not leave the state that was reached'
    WHEN c.status <> c.replayed
    THEN 'it is ' || c.status || '; its events lead to ' || c.replayed
    ELSE 'it has moved ' || c.move_number || ' times; its events record ' || c.moves
  END AS detail
FROM compared AS c
WHERE
  NOT c.broken IS NULL
  OR c.status IS DISTINCT FROM c.replayed
  OR c.move_number <> c.moves
ORDER BY
  since,
  subject
LIMIT %(examples)s;
