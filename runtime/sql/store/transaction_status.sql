-- database.commit_once: what became of a transaction of our own whose end we have not heard.
SELECT pg_xact_status(%(transaction_id)s::varchar::xid8) AS status
