-- record_outcomes, after the moves and under the stages' locks: the counters of the database.
SELECT stage_id, tasks_total, tasks_open, tasks_completed, tasks_failed, tasks_cancelled
FROM app.stages WHERE stage_id = ANY(ARRAY(SELECT unnest(%(stage_ids)s::bigint[])))
