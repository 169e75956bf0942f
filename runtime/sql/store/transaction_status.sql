-- database.commit_once: the status of our transaction whose answer to COMMIT was lost.
SELECT pg_xact_status(%(transaction_id)s::varchar::xid8) AS status
