-- move: start
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(job_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[])) AS i(job_id, event_type, event_status, event_data)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.jobs AS r SET status = 'processing', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, started_at = i.moment, finished_at = NULL, result = NULL, error = NULL, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, put_offs = NULL
FROM input AS i
WHERE
  r.job_id = CAST(i.job_id AS VARCHAR(64))
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
  AND r.job_id = ANY(
    ARRAY(SELECT
      t.job_id
    FROM app.jobs AS t
    WHERE
      t.job_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(job_id)s AS VARCHAR[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['queued']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- move: complete
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(job_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(result)s AS JSON[])) AS i(job_id, event_type, event_status, event_data, result)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.jobs AS r SET status = 'completed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, finished_at = i.moment, result = i.result, error = NULL, deadline_at = NULL, put_offs = NULL
FROM input AS i
WHERE
  r.job_id = CAST(i.job_id AS VARCHAR(64))
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['processing']
    ) AS VARCHAR[])
  )
  AND r.job_id = ANY(
    ARRAY(SELECT
      t.job_id
    FROM app.jobs AS t
    WHERE
      t.job_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(job_id)s AS VARCHAR[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['processing']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- move: fail
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(job_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(error)s AS JSONB[])) AS i(job_id, event_type, event_status, event_data, error)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.jobs AS r SET status = 'failed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, finished_at = i.moment, result = NULL, error = i.error, deadline_at = NULL, put_offs = NULL
FROM input AS i
WHERE
  r.job_id = CAST(i.job_id AS VARCHAR(64))
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued', 'processing']
    ) AS VARCHAR[])
  )
  AND r.job_id = ANY(
    ARRAY(SELECT
      t.job_id
    FROM app.jobs AS t
    WHERE
      t.job_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(job_id)s AS VARCHAR[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['queued', 'processing']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- move: cancel
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(job_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[])) AS i(job_id, event_type, event_status, event_data)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.jobs AS r SET status = 'cancelled', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, finished_at = i.moment, result = NULL, error = NULL, deadline_at = NULL, put_offs = NULL
FROM input AS i
WHERE
  r.job_id = CAST(i.job_id AS VARCHAR(64))
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued', 'processing']
    ) AS VARCHAR[])
  )
  AND r.job_id = ANY(
    ARRAY(SELECT
      t.job_id
    FROM app.jobs AS t
    WHERE
      t.job_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(job_id)s AS VARCHAR[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['queued', 'processing']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- move: resume
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(job_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(delay)s AS DOUBLE PRECISION[])) AS i(job_id, event_type, event_status, event_data, delay)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.jobs AS r SET status = 'queued', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = i.moment + MAKE_INTERVAL(secs => i.delay), finished_at = NULL, result = NULL, error = NULL, deadline_at = i.moment + r.deadline
FROM input AS i
WHERE
  r.job_id = CAST(i.job_id AS VARCHAR(64))
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['failed', 'cancelled']
    ) AS VARCHAR[])
  )
  AND r.job_id = ANY(
    ARRAY(SELECT
      t.job_id
    FROM app.jobs AS t
    WHERE
      t.job_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(job_id)s AS VARCHAR[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['failed', 'cancelled']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;
