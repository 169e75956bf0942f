-- web: how many tasks each worker holds, and until when unless it renews them. Reads the partial index on leases.
SELECT lease_owner AS worker, count(*) AS tasks, min(lease_expires_at) AS first_ends, max(lease_expires_at) AS last_ends
FROM app.tasks WHERE status = 'processing' GROUP BY lease_owner ORDER BY lease_owner LIMIT 100
