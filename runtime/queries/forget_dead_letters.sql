-- dead letters: those that the audit no longer tells of, whenever others are kept, so that they do not pile up.
DELETE FROM app.dead_letters WHERE read_at < app.clock() - interval '7 days'
