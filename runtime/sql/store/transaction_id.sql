-- database.commit_once: the number by which to ask, should the answer to COMMIT be lost, whether it was carried out.
SELECT pg_current_xact_id_if_assigned()::varchar AS transaction_id
