-- bench, before and after a run: the position of the write-ahead log, and the server process of this connection.
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal_bytes, pg_backend_pid() AS pid
