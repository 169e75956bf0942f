-- worker: records that it has ended.
UPDATE app.workers SET stopped_at = app.clock() WHERE worker = %(worker)s
