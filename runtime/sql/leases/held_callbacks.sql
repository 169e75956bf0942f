-- renewer: what a claim under way may have won, while its worker has not read the answer.
SELECT callback_id::varchar AS key, lease_number FROM app.callbacks WHERE status = 'processing' AND lease_owner = %(owner)s
