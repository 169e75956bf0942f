-- audit GAP-16: compares the installed parts with the declaration of this program. Takes no lock.
WITH declared AS (
  SELECT * FROM unnest(%(legal_machines)s::varchar[], %(legal_triggers)s::varchar[], %(legal_sources)s::varchar[],
                       %(legal_targets)s::varchar[], %(legal_events)s::varchar[])
    AS d(machine, trigger, source, target, event_type)
), installed AS (
  SELECT machine, trigger, source, target, event_type FROM app.legal_transitions
), odd AS (
  SELECT 'declaration of ' || w.part AS subject,
         coalesce(left(i.digest, 12), 'nothing') || ' is installed, not ' || left(w.digest, 12) AS detail
  FROM jsonb_each_text(%(digests)s::jsonb) AS w(part, digest) LEFT JOIN app.installed AS i USING (part)
  WHERE i.digest IS DISTINCT FROM w.digest
  UNION ALL
  SELECT machine || '.' || trigger || ' from ' || source, 'is legal in the database, not in the declaration'
  FROM (SELECT * FROM installed EXCEPT SELECT * FROM declared) AS added
  UNION ALL
  SELECT machine || '.' || trigger || ' from ' || source, 'is legal in the declaration, not in the database'
  FROM (SELECT * FROM declared EXCEPT SELECT * FROM installed) AS lost
)
SELECT NULL::varchar AS job_id, subject, detail, NULL::timestamptz AS since, count(*) OVER () AS found
FROM odd ORDER BY subject, detail LIMIT %(examples)s
