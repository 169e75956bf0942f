-- database: the objects of a schema, as the server describes them, to be compared with the declaration's.
SELECT 'column' AS kind, c.relname || '.' || a.attname AS name,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 CASE WHEN a.attidentity <> '' THEN 'IDENTITY' END, 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = %(namespace)s::text::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', c.relname || '.' || n.conname, pg_get_constraintdef(n.oid)
FROM pg_constraint AS n JOIN pg_class AS c ON c.oid = n.conrelid
WHERE c.relnamespace = %(namespace)s::text::regnamespace AND n.contype <> 'n'
UNION ALL
SELECT 'index', c.relname, pg_get_indexdef(c.oid)
FROM pg_class AS c WHERE c.relnamespace = %(namespace)s::text::regnamespace AND c.relkind = 'i'
UNION ALL
SELECT 'trigger', c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = %(namespace)s::text::regnamespace AND NOT t.tgisinternal
ORDER BY 1, 2
