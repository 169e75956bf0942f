-- open_stage, under the job's lock: the next stage numbers its tasks from here.
UPDATE app.jobs SET tasks_total = tasks_total + %(count)s WHERE job_id = %(job_id)s
