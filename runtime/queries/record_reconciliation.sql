-- reconciler: its runs and failures, one row a worker, for health and audit.
INSERT INTO app.workers AS w (worker, seen_at, runs, failures, last_error, found)
VALUES (%(worker)s, app.clock(), %(runs)s, %(failures)s, %(last_error)s::jsonb, %(found)s::jsonb)
ON CONFLICT (worker) DO UPDATE SET seen_at = EXCLUDED.seen_at, runs = EXCLUDED.runs, failures = EXCLUDED.failures,
  last_error = EXCLUDED.last_error, found = EXCLUDED.found
