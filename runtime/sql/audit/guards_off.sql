-- audit GAP-21: triggers that do not fire for every client, and declared ones that are missing. Reads only the catalog.
WITH declared AS (
  SELECT * FROM unnest(%(guard_tables)s::varchar[], %(guards)s::varchar[]) AS d(on_table, guard)
), standing AS (
  SELECT c.relname AS on_table, t.tgname AS guard, t.tgenabled
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = %(schema)s
), off AS (
  SELECT on_table, guard, 'is switched off' AS how FROM standing WHERE tgenabled IN ('D', 'R')
  UNION ALL
  SELECT d.on_table, d.guard, 'is not there'
  FROM declared AS d LEFT JOIN standing AS s USING (on_table, guard) WHERE s.guard IS NULL
)
SELECT NULL::varchar AS job_id, 'trigger ' || guard AS subject, 'on ' || on_table || ' ' || how AS detail,
       NULL::timestamptz AS since, count(*) OVER () AS found
FROM off ORDER BY on_table, guard LIMIT %(examples)s
