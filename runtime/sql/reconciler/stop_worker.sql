-- worker: it ends, and says so.
UPDATE app.workers SET stopped_at = app.clock() WHERE worker = %(worker)s
