-- web: the database's time, and the oldest transaction that may still commit: a follower that
-- begins there misses no later event.
SELECT app.clock() AS now, pg_snapshot_xmin(pg_current_snapshot())::text AS horizon
