-- bench, as the owner of its schema: for the cost of tasks without guards.
DO $body$
DECLARE
  guard name;
BEGIN
  FOR guard IN SELECT t.tgname FROM pg_trigger AS t
    WHERE t.tgrelid = 'app.tasks'::regclass AND NOT t.tgisinternal AND t.tgname ~ '^tasks_[0-9]_' LOOP
    EXECUTE 'DROP TRIGGER ' || quote_ident(guard) || ' ON ' || 'app.tasks'::regclass;
  END LOOP;
END $body$
