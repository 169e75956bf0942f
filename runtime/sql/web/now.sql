-- web: what time it is, by the only clock that counts, and the oldest transaction that may still commit: a follower who
-- begins there misses nothing that this moment does not show.
SELECT app.clock() AS now, pg_snapshot_xmin(pg_current_snapshot())::text AS horizon
