-- web: how many tasks of a big stage started in one slice of time and ended in another. One pass over the stage.
SELECT width_bucket(date_part('epoch', started_at), %(first)s::float8, %(last)s::float8, %(slices)s::int) AS started,
       width_bucket(date_part('epoch', finished_at), %(first)s::float8, %(last)s::float8, %(slices)s::int) AS ended,
       count(*) AS tasks
FROM app.tasks WHERE stage_id = %(stage_id)s
GROUP BY 1, 2
