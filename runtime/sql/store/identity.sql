-- pooler: the same in two sessions of one database; every login may read it.
SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS started, d.oid::text AS database
FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
