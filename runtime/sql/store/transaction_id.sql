-- database.commit_once: the number by which to check, if the answer to COMMIT is lost, whether it committed.
SELECT pg_current_xact_id_if_assigned()::varchar AS transaction_id
