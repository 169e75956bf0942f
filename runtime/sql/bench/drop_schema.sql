-- bench, as the owner of its scratch schema: drops that schema and its role, at the end of a run.
DO $body$
DECLARE
  made text := split_part('app.jobs', '.', 1);
BEGIN
  EXECUTE 'DROP SCHEMA IF EXISTS ' || quote_ident(made) || ' CASCADE';
  EXECUTE 'DROP ROLE IF EXISTS ' || quote_ident('coremachine_' || made);
END $body$
