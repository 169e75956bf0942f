-- open_stage and the worker: every result of a stage, in task order.
SELECT result FROM app.tasks WHERE stage_id = %(stage_id)s AND status = 'completed' ORDER BY task_index
