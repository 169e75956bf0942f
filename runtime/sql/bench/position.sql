-- bench, before and after a run: how far the write-ahead log has come, and the process that serves us.
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal_bytes, pg_backend_pid() AS pid
