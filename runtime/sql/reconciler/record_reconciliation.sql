-- reconciler: its runs and failures, and the worker's failing loops: one row per worker, for health, why and audit.
INSERT INTO app.workers AS w (worker, seen_at, runs, failures, last_error, found, loops)
VALUES (%(worker)s, app.clock(), %(runs)s, %(failures)s, %(last_error)s::jsonb, %(found)s::jsonb, %(loops)s::jsonb)
ON CONFLICT (worker) DO UPDATE SET seen_at = EXCLUDED.seen_at, runs = EXCLUDED.runs, failures = EXCLUDED.failures,
  last_error = EXCLUDED.last_error, found = EXCLUDED.found, loops = EXCLUDED.loops
