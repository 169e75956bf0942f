-- audit GAP-25 and others: whether a constraint that closes a gap exists and holds for every row. Reads only the
-- catalog.
SELECT NULL::varchar AS job_id, 'constraint ' || %(constraint)s AS subject, 'is not there, or not valid' AS detail,
       NULL::timestamptz AS since, 1 AS found
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.connamespace
  WHERE n.nspname = %(schema)s AND c.conname = %(constraint)s AND c.convalidated)
