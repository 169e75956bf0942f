-- why: first statement of its transaction, so that all it reads is from one snapshot.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
