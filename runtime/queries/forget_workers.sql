-- reconciler: workers that have not been seen for a day.
DELETE FROM app.workers WHERE seen_at < app.clock() - interval '1 day'
