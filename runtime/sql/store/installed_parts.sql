-- database: which declarations the schema was installed from, by part. Read so that a table of an older shape can be told.
SELECT to_jsonb(i) ->> 'part' AS part, i.digest FROM app.installed AS i
