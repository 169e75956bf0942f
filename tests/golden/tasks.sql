-- move: claim
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(task_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_owner)s AS VARCHAR[]), CAST(%(lease)s AS DOUBLE PRECISION[])) AS i(task_id, event_type, event_status, event_data, lease_owner, lease)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.tasks AS r SET status = 'processing', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = i.lease_owner, lease_expires_at = i.moment + MAKE_INTERVAL(secs => i.lease), deadline_at = i.moment + r.timeout, started_at = i.moment, finished_at = NULL, result = NULL, error = NULL, lease_number = r.lease_number + 1, send_number = 0
FROM input AS i
WHERE
  r.task_id = CAST(i.task_id AS VARCHAR(64))
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
  AND r.task_id = ANY(
    ARRAY(SELECT
      t.task_id
    FROM app.tasks AS t
    WHERE
      t.task_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(task_id)s AS VARCHAR[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['queued']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.task_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- move: complete
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(task_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[]), CAST(%(result)s AS JSON[])) AS i(task_id, event_type, event_status, event_data, lease_number, result)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.tasks AS r SET status = 'completed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = i.moment, result = i.result, error = NULL
FROM input AS i
WHERE
  (
    r.task_id = CAST(i.task_id AS VARCHAR(64))
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.task_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(task_id)s AS VARCHAR[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- move: fail
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(task_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[]), CAST(%(error)s AS JSONB[])) AS i(task_id, event_type, event_status, event_data, lease_number, error)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.tasks AS r SET status = 'failed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = i.moment, result = NULL, error = i.error
FROM input AS i
WHERE
  (
    r.task_id = CAST(i.task_id AS VARCHAR(64))
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.task_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(task_id)s AS VARCHAR[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- move: cancel
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(task_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[])) AS i(task_id, event_type, event_status, event_data, lease_number)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.tasks AS r SET status = 'cancelled', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = i.moment, result = NULL, error = NULL
FROM input AS i
WHERE
  (
    r.task_id = CAST(i.task_id AS VARCHAR(64))
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['queued', 'processing']
      ) AS VARCHAR[])
    )
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.task_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(task_id)s AS VARCHAR[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['queued', 'processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  )
  AND (
    i.lease_number IS NULL
    OR r.lease_number = i.lease_number
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- move: retry
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(task_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[]), CAST(%(delay)s AS DOUBLE PRECISION[])) AS i(task_id, event_type, event_status, event_data, lease_number, delay)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.tasks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = i.moment + MAKE_INTERVAL(secs => i.delay), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL, result = NULL, error = NULL, attempt = r.attempt + 1
FROM input AS i
WHERE
  (
    r.task_id = CAST(i.task_id AS VARCHAR(64))
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.task_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(task_id)s AS VARCHAR[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- move: release
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(task_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[]), CAST(%(delay)s AS DOUBLE PRECISION[])) AS i(task_id, event_type, event_status, event_data, lease_number, delay)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.tasks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = i.moment + MAKE_INTERVAL(secs => i.delay), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL, result = NULL, error = NULL
FROM input AS i
WHERE
  (
    r.task_id = CAST(i.task_id AS VARCHAR(64))
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.task_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(task_id)s AS VARCHAR[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- move: rescue
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(task_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[]), CAST(%(delay)s AS DOUBLE PRECISION[])) AS i(task_id, event_type, event_status, event_data, lease_number, delay)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.tasks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = i.moment + MAKE_INTERVAL(secs => i.delay), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL, result = NULL, error = NULL, rescues = r.rescues + 1
FROM input AS i
WHERE
  (
    r.task_id = CAST(i.task_id AS VARCHAR(64))
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.task_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(task_id)s AS VARCHAR[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- move: resume
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(task_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(delay)s AS DOUBLE PRECISION[]), CAST(%(max_attempts)s AS INT[])) AS i(task_id, event_type, event_status, event_data, delay, max_attempts)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.tasks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = i.moment + MAKE_INTERVAL(secs => i.delay), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL, result = NULL, error = NULL, attempt = r.attempt + 1, max_attempts = r.max_attempts + i.max_attempts, rescues = 0
FROM input AS i
WHERE
  r.task_id = CAST(i.task_id AS VARCHAR(64))
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['failed', 'cancelled']
    ) AS VARCHAR[])
  )
  AND r.task_id = ANY(
    ARRAY(SELECT
      t.task_id
    FROM app.tasks AS t
    WHERE
      t.task_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(task_id)s AS VARCHAR[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['failed', 'cancelled']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.task_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- queue: claim
UPDATE app.tasks AS r SET status = 'processing', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), due_at = NULL, lease_owner = CAST(%(lease_owner)s AS VARCHAR(100)), lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), deadline_at = n.moment + r.timeout, started_at = n.moment, finished_at = NULL, result = NULL, error = NULL, lease_number = r.lease_number + 1, send_number = 0
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.task_id = ANY(
    ARRAY(SELECT
      q.task_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.status IN ('queued')
        AND t.task_type = k.type
        AND t.due_at <= app.clock()
        AND t.task_id <> ALL(CAST(%(without)s AS VARCHAR[]))
      ORDER BY
        t.due_at,
        t.task_number
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  )
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key, r.job_id, r.stage_id, r.stage, r.task_index, r.task_number, r.task_type, r.item, r.attempt, r.max_attempts, r.lease_number, r.lease_owner, r.deadline_at, r.rescues, r.max_rescues;

-- queue: due
SELECT
  CAST(r.task_id AS VARCHAR) AS key,
  r.job_id
FROM app.tasks AS r
WHERE
  r.task_id = ANY(
    ARRAY(SELECT
      q.task_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.status IN ('queued')
        AND t.task_type = k.type
        AND t.due_at <= app.clock()
        AND t.task_id <> ALL(CAST(%(without)s AS VARCHAR[]))
      ORDER BY
        t.due_at,
        t.task_number
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  );

-- queue: claim by key
UPDATE app.tasks AS r SET status = 'processing', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), due_at = NULL, lease_owner = CAST(%(lease_owner)s AS VARCHAR(100)), lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), deadline_at = n.moment + r.timeout, started_at = n.moment, finished_at = NULL, result = NULL, error = NULL, lease_number = r.lease_number + 1, send_number = 0
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.task_id = ANY(
    ARRAY(SELECT
      t.task_id
    FROM app.tasks AS t
    JOIN UNNEST(CAST(%(keys)s AS VARCHAR[]), CAST(%(lease_numbers)s AS INT[])) AS i(task_id, lease_number)
      ON i.task_id = t.task_id
    WHERE
      t.task_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(keys)s AS VARCHAR[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['queued']
        ) AS VARCHAR[])
      )
      AND t.lease_number = i.lease_number
      AND (
        t.task_type = ANY(
          CAST(%(types)s AS VARCHAR[])
        )
      ) IS TRUE
    ORDER BY
      t.task_id   FOR NO KEY UPDATE OF t)
  )
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key, r.job_id, r.stage_id, r.stage, r.task_index, r.task_number, r.task_type, r.item, r.attempt, r.max_attempts, r.lease_number, r.lease_owner, r.deadline_at, r.rescues, r.max_rescues;

-- queue: lease for send
UPDATE app.tasks AS r SET due_at = GREATEST(r.due_at, n.moment) + MAKE_INTERVAL(secs => %(lease)s), send_number = r.send_number + 1
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.task_id = ANY(
    ARRAY(SELECT
      q.task_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.status IN ('queued')
        AND t.task_type = k.type
        AND t.due_at <= app.clock() + MAKE_INTERVAL(secs => %(horizon)s)
        AND (
          t.due_at <= app.clock() OR t.send_number = 0
        )
        AND t.task_id <> ALL(CAST(%(without)s AS VARCHAR[]))
      ORDER BY
        t.due_at,
        t.task_number
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  )
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key, r.job_id, r.lease_number, r.send_number, CAST(EXTRACT(EPOCH FROM r.due_at - MAKE_INTERVAL(secs => %(lease)s) - n.moment) AS DOUBLE PRECISION) AS delay;

-- queue: to send
SELECT
  CAST(r.task_id AS VARCHAR) AS key,
  r.job_id
FROM app.tasks AS r
WHERE
  r.task_id = ANY(
    ARRAY(SELECT
      q.task_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.status IN ('queued')
        AND t.task_type = k.type
        AND t.due_at <= app.clock() + MAKE_INTERVAL(secs => %(horizon)s)
        AND (
          t.due_at <= app.clock() OR t.send_number = 0
        )
        AND t.task_id <> ALL(CAST(%(without)s AS VARCHAR[]))
      ORDER BY
        t.due_at,
        t.task_number
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  );

-- queue: confirm sent
UPDATE app.tasks AS r SET due_at = r.due_at + MAKE_INTERVAL(
  secs => LEAST(
    CAST(%(most)s AS DOUBLE PRECISION),
    %(resend)s * POWER(2, LEAST(r.send_number - 1, 30))
  ) - %(lease)s
)
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n, UNNEST(CAST(%(keys)s AS VARCHAR[]), CAST(%(lease_numbers)s AS INT[]), CAST(%(send_numbers)s AS INT[])) AS i(task_id, lease_number, send_number)
WHERE
  r.task_id = i.task_id
  AND r.lease_number = i.lease_number
  AND r.send_number = i.send_number
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
  AND r.task_id = ANY(
    ARRAY(SELECT
      t.task_id
    FROM app.tasks AS t
    WHERE
      t.task_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(keys)s AS VARCHAR[])))
      )
    ORDER BY
      t.task_id   FOR NO KEY UPDATE SKIP LOCKED)
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- queue: redirect
UPDATE app.tasks AS r SET due_at = n.moment + MAKE_INTERVAL(secs => %(delay)s), send_number = r.send_number + 1
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.task_id = CAST(%(key)s AS VARCHAR(64))
  AND r.lease_number = %(lease_number)s
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key;

-- queue: renew
UPDATE app.tasks AS r SET lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), deadline_at = CASE WHEN i.begun THEN r.deadline_at ELSE n.moment + r.timeout END
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n, UNNEST(CAST(%(keys)s AS VARCHAR[]), CAST(%(lease_numbers)s AS INT[]), CAST(%(begun)s AS BOOLEAN[])) AS i(task_id, lease_number, begun), app.stages AS p
WHERE
  r.task_id = i.task_id
  AND r.lease_number = i.lease_number
  AND r.lease_owner = %(owner)s
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['processing']
    ) AS VARCHAR[])
  )
  AND p.stage_id = r.stage_id
  AND r.task_id = ANY(
    ARRAY(SELECT
      t.task_id
    FROM app.tasks AS t
    WHERE
      t.task_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(keys)s AS VARCHAR[])))
      )
    ORDER BY
      t.task_id   FOR NO KEY UPDATE SKIP LOCKED)
  )
RETURNING CAST(r.task_id AS VARCHAR) AS key, p.stop_reason AS stop_reason;

-- queue: held
SELECT
  CAST(t.task_id AS VARCHAR) AS key,
  t.lease_number
FROM app.tasks AS t
WHERE
  t.status IN ('processing') AND t.lease_owner = %(owner)s;

-- queue: messages
SELECT
  CAST(t.task_id AS VARCHAR) AS key,
  t.job_id,
  t.task_type AS type,
  t.status,
  t.lease_number,
  t.status IN ('queued') AS waiting
FROM app.tasks AS t
WHERE
  t.task_id = ANY(
    ARRAY(SELECT
      UNNEST(CAST(%(keys)s AS VARCHAR[])))
  );

-- sweep: cancel from queued by stage_id
WITH moved AS (
  UPDATE app.tasks AS r SET status = 'cancelled', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = n.moment, result = NULL, error = NULL
  FROM (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
  WHERE
    r.status = 'queued'
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.stage_id = CAST(%(value)s AS BIGINT) AND t.status = 'queued'
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  RETURNING 1
)
SELECT
  COUNT(*) AS moved
FROM moved;

-- sweep: resume from failed by stage_id
WITH moved AS (
  UPDATE app.tasks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), due_at = n.moment + MAKE_INTERVAL(secs => %(delay)s), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL, result = NULL, error = NULL, attempt = r.attempt + 1, max_attempts = r.max_attempts + %(max_attempts)s, rescues = 0
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
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.stage_id = CAST(%(value)s AS BIGINT) AND t.status = 'failed'
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  RETURNING 1
)
SELECT
  COUNT(*) AS moved
FROM moved;

-- sweep: resume from cancelled by stage_id
WITH moved AS (
  UPDATE app.tasks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), due_at = n.moment + MAKE_INTERVAL(secs => %(delay)s), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL, result = NULL, error = NULL, attempt = r.attempt + 1, max_attempts = r.max_attempts + %(max_attempts)s, rescues = 0
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
    AND r.task_id = ANY(
      ARRAY(SELECT
        t.task_id
      FROM app.tasks AS t
      WHERE
        t.stage_id = CAST(%(value)s AS BIGINT) AND t.status = 'cancelled'
      ORDER BY
        t.task_id   FOR NO KEY UPDATE)
    )
  RETURNING 1
)
SELECT
  COUNT(*) AS moved
FROM moved;
