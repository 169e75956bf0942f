-- bench: the settings that a measurement depends on.
SELECT name, setting || COALESCE(unit, '') AS setting FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'server_version', 'shared_buffers', 'wal_buffers',
               'max_wal_size', 'wal_compression', 'wal_level', 'wal_sync_method', 'commit_delay', 'jit', 'max_connections')
ORDER BY name
