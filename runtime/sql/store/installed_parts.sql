-- database: which declarations the schema was installed from, by part. Read so that an older shape of the table is
-- recognized.
SELECT to_jsonb(i) ->> 'part' AS part, i.digest FROM app.installed AS i
