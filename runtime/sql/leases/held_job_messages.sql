-- renewer: what a claim under way may have won, while its worker has not read the answer.
SELECT job_id AS key, lease_number FROM app.jobs WHERE due_at IS NOT NULL AND lease_owner = %(owner)s
