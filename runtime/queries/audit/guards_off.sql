-- audit GAP-21: triggers that do not fire for everybody. Reads the catalog alone.
SELECT NULL::varchar AS job_id, 'trigger ' || t.tgname AS subject, 'on ' || c.relname || ' is switched off' AS detail,
       NULL::timestamptz AS since, count(*) OVER () AS found
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND t.tgenabled IN ('D', 'R')
ORDER BY c.relname, t.tgname LIMIT %(examples)s
