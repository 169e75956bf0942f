-- renewer: what a claim under way may have won, while its worker has not read the answer.
SELECT task_id AS key, lease_number FROM app.tasks WHERE status = 'processing' AND lease_owner = %(owner)s
