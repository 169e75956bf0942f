-- bench, as the schema's owner: takes away the schema that this run made for itself, and its role.
DO $body$
DECLARE
  made text := split_part('app.jobs', '.', 1);
BEGIN
  EXECUTE 'DROP SCHEMA IF EXISTS ' || quote_ident(made) || ' CASCADE';
  EXECUTE 'DROP ROLE IF EXISTS ' || quote_ident('coremachine_' || made);
END $body$
