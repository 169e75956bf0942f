-- soak: how much room the database takes, in bytes, and which PostgreSQL it is.
SELECT pg_database_size(current_database()) AS bytes, current_setting('server_version') AS version
