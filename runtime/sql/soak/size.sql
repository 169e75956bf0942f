-- soak: the size of the database, in bytes, and the version of PostgreSQL.
SELECT pg_database_size(current_database()) AS bytes, current_setting('server_version') AS version
