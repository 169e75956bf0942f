-- dead letters: those without a job, in a transaction before they are removed from the broker. One that could not be
-- removed is received again, and kept once.
INSERT INTO app.dead_letters (queue, message_id, digest, reason, description)
SELECT * FROM unnest(%(queue)s::text[], %(message_id)s::text[], %(digest)s::text[], %(reason)s::text[], %(description)s::text[])
ON CONFLICT DO NOTHING
