-- move: open
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(stage_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[])) AS i(stage_id, event_type, event_status, event_data)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.stages AS r SET status = 'processing', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, started_at = i.moment, finished_at = NULL, error = NULL
FROM input AS i
WHERE
  r.stage_id = CAST(i.stage_id AS BIGINT)
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['pending']
    ) AS VARCHAR[])
  )
  AND r.stage_id = ANY(
    ARRAY(SELECT
      t.stage_id
    FROM app.stages AS t
    WHERE
      t.stage_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(stage_id)s AS BIGINT[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['pending']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.stage_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.stage_id AS VARCHAR) AS key;

-- move: complete
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(stage_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[])) AS i(stage_id, event_type, event_status, event_data)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.stages AS r SET status = 'completed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, finished_at = i.moment, error = NULL, stop_reason = NULL, stop_why = NULL, stopped_at = NULL
FROM input AS i
WHERE
  r.stage_id = CAST(i.stage_id AS BIGINT)
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['processing']
    ) AS VARCHAR[])
  )
  AND r.stage_id = ANY(
    ARRAY(SELECT
      t.stage_id
    FROM app.stages AS t
    WHERE
      t.stage_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(stage_id)s AS BIGINT[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['processing']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.stage_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.stage_id AS VARCHAR) AS key;

-- move: fail
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(stage_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(error)s AS JSONB[])) AS i(stage_id, event_type, event_status, event_data, error)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.stages AS r SET status = 'failed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, finished_at = i.moment, error = i.error, stop_reason = NULL, stop_why = NULL, stopped_at = NULL
FROM input AS i
WHERE
  r.stage_id = CAST(i.stage_id AS BIGINT)
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['processing']
    ) AS VARCHAR[])
  )
  AND r.stage_id = ANY(
    ARRAY(SELECT
      t.stage_id
    FROM app.stages AS t
    WHERE
      t.stage_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(stage_id)s AS BIGINT[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['processing']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.stage_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.stage_id AS VARCHAR) AS key;

-- move: cancel
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(stage_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[])) AS i(stage_id, event_type, event_status, event_data)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.stages AS r SET status = 'cancelled', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, finished_at = i.moment, error = NULL, stop_reason = NULL, stop_why = NULL, stopped_at = NULL
FROM input AS i
WHERE
  r.stage_id = CAST(i.stage_id AS BIGINT)
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['processing']
    ) AS VARCHAR[])
  )
  AND r.stage_id = ANY(
    ARRAY(SELECT
      t.stage_id
    FROM app.stages AS t
    WHERE
      t.stage_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(stage_id)s AS BIGINT[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['processing']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.stage_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.stage_id AS VARCHAR) AS key;

-- move: skip
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(stage_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[])) AS i(stage_id, event_type, event_status, event_data)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.stages AS r SET status = 'cancelled', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, finished_at = i.moment, error = NULL, stop_reason = NULL, stop_why = NULL, stopped_at = NULL
FROM input AS i
WHERE
  r.stage_id = CAST(i.stage_id AS BIGINT)
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['pending']
    ) AS VARCHAR[])
  )
  AND r.stage_id = ANY(
    ARRAY(SELECT
      t.stage_id
    FROM app.stages AS t
    WHERE
      t.stage_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(stage_id)s AS BIGINT[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['pending']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.stage_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.stage_id AS VARCHAR) AS key;

-- move: resume
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(stage_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[])) AS i(stage_id, event_type, event_status, event_data)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.stages AS r SET status = 'pending', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, started_at = NULL, finished_at = NULL, error = NULL, stop_reason = NULL, stop_why = NULL, stopped_at = NULL
FROM input AS i
WHERE
  r.stage_id = CAST(i.stage_id AS BIGINT)
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['failed', 'cancelled']
    ) AS VARCHAR[])
  )
  AND r.stage_id = ANY(
    ARRAY(SELECT
      t.stage_id
    FROM app.stages AS t
    WHERE
      t.stage_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(stage_id)s AS BIGINT[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['failed', 'cancelled']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.stage_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.stage_id AS VARCHAR) AS key;

-- sweep: skip from pending by job_id
WITH moved AS (
  UPDATE app.stages AS r SET status = 'cancelled', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), finished_at = n.moment, error = NULL, stop_reason = NULL, stop_why = NULL, stopped_at = NULL
  FROM (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
  WHERE
    r.status = 'pending'
    AND r.stage_id = ANY(
      ARRAY(SELECT
        t.stage_id
      FROM app.stages AS t
      WHERE
        t.job_id = CAST(%(value)s AS VARCHAR(64)) AND t.status = 'pending'
      ORDER BY
        t.stage_id   FOR NO KEY UPDATE)
    )
  RETURNING 1
)
SELECT
  COUNT(*) AS moved
FROM moved;

-- sweep: resume from failed by job_id
WITH moved AS (
  UPDATE app.stages AS r SET status = 'pending', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), started_at = NULL, finished_at = NULL, error = NULL, stop_reason = NULL, stop_why = NULL, stopped_at = NULL
  FROM (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
  WHERE
    r.status = 'failed'
    AND r.stage_id = ANY(
      ARRAY(SELECT
        t.stage_id
      FROM app.stages AS t
      WHERE
        t.job_id = CAST(%(value)s AS VARCHAR(64)) AND t.status = 'failed'
      ORDER BY
        t.stage_id   FOR NO KEY UPDATE)
    )
  RETURNING 1
)
SELECT
  COUNT(*) AS moved
FROM moved;

-- sweep: resume from cancelled by job_id
WITH moved AS (
  UPDATE app.stages AS r SET status = 'pending', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), started_at = NULL, finished_at = NULL, error = NULL, stop_reason = NULL, stop_why = NULL, stopped_at = NULL
  FROM (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
  WHERE
    r.status = 'cancelled'
    AND r.stage_id = ANY(
      ARRAY(SELECT
        t.stage_id
      FROM app.stages AS t
      WHERE
        t.job_id = CAST(%(value)s AS VARCHAR(64)) AND t.status = 'cancelled'
      ORDER BY
        t.stage_id   FOR NO KEY UPDATE)
    )
  RETURNING 1
)
SELECT
  COUNT(*) AS moved
FROM moved;
