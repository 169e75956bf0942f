-- finalize, in the transaction that completes the job: from then on the callback is due.
INSERT INTO app.callbacks (job_id, job_type, name, max_attempts)
VALUES (%(job_id)s, %(job_type)s, %(name)s, %(max_attempts)s)
