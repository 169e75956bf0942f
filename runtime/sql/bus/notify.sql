-- bus: wakes idle workers when the transaction commits.
SELECT pg_notify(%(channel)s, %(payload)s)
