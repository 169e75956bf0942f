-- move: claim
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(callback_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_owner)s AS VARCHAR[]), CAST(%(lease)s AS DOUBLE PRECISION[])) AS i(callback_id, event_type, event_status, event_data, lease_owner, lease)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.callbacks AS r SET status = 'processing', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = i.lease_owner, lease_expires_at = i.moment + MAKE_INTERVAL(secs => i.lease), deadline_at = i.moment + r.timeout, started_at = i.moment, finished_at = NULL, lease_number = r.lease_number + 1, send_number = 0
FROM input AS i
WHERE
  r.callback_id = CAST(i.callback_id AS BIGINT)
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
  AND r.callback_id = ANY(
    ARRAY(SELECT
      t.callback_id
    FROM app.callbacks AS t
    WHERE
      t.callback_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(callback_id)s AS BIGINT[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['queued']
        ) AS VARCHAR[])
      )
    ORDER BY
      t.callback_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.callback_id AS VARCHAR) AS key;

-- move: complete
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(callback_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[])) AS i(callback_id, event_type, event_status, event_data, lease_number)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.callbacks AS r SET status = 'completed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = i.moment
FROM input AS i
WHERE
  (
    r.callback_id = CAST(i.callback_id AS BIGINT)
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.callback_id = ANY(
      ARRAY(SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.callback_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(callback_id)s AS BIGINT[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.callback_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.callback_id AS VARCHAR) AS key;

-- move: fail
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(callback_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[])) AS i(callback_id, event_type, event_status, event_data, lease_number)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.callbacks AS r SET status = 'failed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = i.moment
FROM input AS i
WHERE
  (
    r.callback_id = CAST(i.callback_id AS BIGINT)
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.callback_id = ANY(
      ARRAY(SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.callback_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(callback_id)s AS BIGINT[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.callback_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.callback_id AS VARCHAR) AS key;

-- move: retry
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(callback_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[]), CAST(%(delay)s AS DOUBLE PRECISION[])) AS i(callback_id, event_type, event_status, event_data, lease_number, delay)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.callbacks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = i.moment + MAKE_INTERVAL(secs => i.delay), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL, attempt = r.attempt + 1
FROM input AS i
WHERE
  (
    r.callback_id = CAST(i.callback_id AS BIGINT)
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.callback_id = ANY(
      ARRAY(SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.callback_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(callback_id)s AS BIGINT[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.callback_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.callback_id AS VARCHAR) AS key;

-- move: release
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(callback_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[]), CAST(%(delay)s AS DOUBLE PRECISION[])) AS i(callback_id, event_type, event_status, event_data, lease_number, delay)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.callbacks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = i.moment + MAKE_INTERVAL(secs => i.delay), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL
FROM input AS i
WHERE
  (
    r.callback_id = CAST(i.callback_id AS BIGINT)
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.callback_id = ANY(
      ARRAY(SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.callback_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(callback_id)s AS BIGINT[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.callback_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.callback_id AS VARCHAR) AS key;

-- move: rescue
WITH input AS (
  SELECT
    i.*,
    n.moment
  FROM UNNEST(CAST(%(callback_id)s AS VARCHAR[]), CAST(%(event_type)s AS VARCHAR[]), CAST(%(event_status)s AS VARCHAR[]), CAST(%(event_data)s AS JSONB[]), CAST(%(lease_number)s AS INT[]), CAST(%(delay)s AS DOUBLE PRECISION[])) AS i(callback_id, event_type, event_status, event_data, lease_number, delay)
  CROSS JOIN (
    SELECT
      (
        SELECT
          app.clock()
      ) AS moment
    OFFSET 0
  ) AS n
)
UPDATE app.callbacks AS r SET status = 'queued', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = i.moment + MAKE_INTERVAL(secs => i.delay), lease_owner = NULL, lease_expires_at = NULL, deadline_at = NULL, finished_at = NULL, rescues = r.rescues + 1
FROM input AS i
WHERE
  (
    r.callback_id = CAST(i.callback_id AS BIGINT)
    AND r.status = ANY(
      CAST((
        SELECT
          ARRAY['processing']
      ) AS VARCHAR[])
    )
    AND r.callback_id = ANY(
      ARRAY(SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.callback_id = ANY(
          ARRAY(SELECT
            UNNEST(CAST(%(callback_id)s AS BIGINT[])))
        )
        AND t.status = ANY(
          CAST((
            SELECT
              ARRAY['processing']
          ) AS VARCHAR[])
        )
      ORDER BY
        t.callback_id   FOR NO KEY UPDATE)
    )
  )
  AND r.lease_number = i.lease_number
RETURNING CAST(r.callback_id AS VARCHAR) AS key;

-- queue: claim
UPDATE app.callbacks AS r SET status = 'processing', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), due_at = NULL, lease_owner = CAST(%(lease_owner)s AS VARCHAR(100)), lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), deadline_at = n.moment + r.timeout, started_at = n.moment, finished_at = NULL, lease_number = r.lease_number + 1, send_number = 0
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.callback_id = ANY(
    ARRAY(SELECT
      q.callback_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.status IN ('queued')
        AND t.job_type = k.type
        AND t.due_at <= app.clock()
        AND t.callback_id <> ALL(CAST(%(without)s AS BIGINT[]))
      ORDER BY
        t.due_at,
        t.callback_id
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
RETURNING CAST(r.callback_id AS VARCHAR) AS key, r.job_id, r.job_type, r.name, r.attempt, r.max_attempts, r.lease_number, r.lease_owner, r.rescues, r.max_rescues;

-- queue: due
SELECT
  CAST(r.callback_id AS VARCHAR) AS key,
  r.job_id
FROM app.callbacks AS r
WHERE
  r.callback_id = ANY(
    ARRAY(SELECT
      q.callback_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.status IN ('queued')
        AND t.job_type = k.type
        AND t.due_at <= app.clock()
        AND t.callback_id <> ALL(CAST(%(without)s AS BIGINT[]))
      ORDER BY
        t.due_at,
        t.callback_id
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  );

-- queue: claim by key
UPDATE app.callbacks AS r SET status = 'processing', move_number = r.move_number + 1, event_type = CAST(%(event_type)s AS VARCHAR(50)), event_status = CAST(%(event_status)s AS VARCHAR(20)), event_data = CAST(%(event_data)s AS JSONB), due_at = NULL, lease_owner = CAST(%(lease_owner)s AS VARCHAR(100)), lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), deadline_at = n.moment + r.timeout, started_at = n.moment, finished_at = NULL, lease_number = r.lease_number + 1, send_number = 0
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.callback_id = ANY(
    ARRAY(SELECT
      t.callback_id
    FROM app.callbacks AS t
    JOIN UNNEST(CAST(%(keys)s AS BIGINT[]), CAST(%(lease_numbers)s AS INT[])) AS i(callback_id, lease_number)
      ON i.callback_id = t.callback_id
    WHERE
      t.callback_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(keys)s AS BIGINT[])))
      )
      AND t.status = ANY(
        CAST((
          SELECT
            ARRAY['queued']
        ) AS VARCHAR[])
      )
      AND t.lease_number = i.lease_number
      AND (
        t.job_type = ANY(
          CAST(%(types)s AS VARCHAR[])
        )
      ) IS TRUE
    ORDER BY
      t.callback_id   FOR NO KEY UPDATE OF t)
  )
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
RETURNING CAST(r.callback_id AS VARCHAR) AS key, r.job_id, r.job_type, r.name, r.attempt, r.max_attempts, r.lease_number, r.lease_owner, r.rescues, r.max_rescues;

-- queue: lease for send
UPDATE app.callbacks AS r SET due_at = GREATEST(r.due_at, n.moment) + MAKE_INTERVAL(secs => %(lease)s), send_number = r.send_number + 1
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.callback_id = ANY(
    ARRAY(SELECT
      q.callback_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.status IN ('queued')
        AND t.job_type = k.type
        AND t.due_at <= app.clock() + MAKE_INTERVAL(secs => %(horizon)s)
        AND (
          t.due_at <= app.clock() OR t.send_number = 0
        )
        AND t.callback_id <> ALL(CAST(%(without)s AS BIGINT[]))
      ORDER BY
        t.due_at,
        t.callback_id
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
RETURNING CAST(r.callback_id AS VARCHAR) AS key, r.job_id, r.lease_number, r.send_number, CAST(EXTRACT(EPOCH FROM r.due_at - MAKE_INTERVAL(secs => %(lease)s) - n.moment) AS DOUBLE PRECISION) AS delay;

-- queue: to send
SELECT
  CAST(r.callback_id AS VARCHAR) AS key,
  r.job_id
FROM app.callbacks AS r
WHERE
  r.callback_id = ANY(
    ARRAY(SELECT
      q.callback_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.callback_id
      FROM app.callbacks AS t
      WHERE
        t.status IN ('queued')
        AND t.job_type = k.type
        AND t.due_at <= app.clock() + MAKE_INTERVAL(secs => %(horizon)s)
        AND (
          t.due_at <= app.clock() OR t.send_number = 0
        )
        AND t.callback_id <> ALL(CAST(%(without)s AS BIGINT[]))
      ORDER BY
        t.due_at,
        t.callback_id
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  );

-- queue: confirm sent
UPDATE app.callbacks AS r SET due_at = r.due_at + MAKE_INTERVAL(
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
) AS n, UNNEST(CAST(%(keys)s AS BIGINT[]), CAST(%(lease_numbers)s AS INT[]), CAST(%(send_numbers)s AS INT[])) AS i(callback_id, lease_number, send_number)
WHERE
  r.callback_id = i.callback_id
  AND r.lease_number = i.lease_number
  AND r.send_number = i.send_number
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued']
    ) AS VARCHAR[])
  )
  AND r.callback_id = ANY(
    ARRAY(SELECT
      t.callback_id
    FROM app.callbacks AS t
    WHERE
      t.callback_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(keys)s AS BIGINT[])))
      )
    ORDER BY
      t.callback_id   FOR NO KEY UPDATE SKIP LOCKED)
  )
RETURNING CAST(r.callback_id AS VARCHAR) AS key;

-- queue: redirect
UPDATE app.callbacks AS r SET due_at = n.moment + MAKE_INTERVAL(secs => %(delay)s), send_number = r.send_number + 1
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.callback_id = CAST(%(key)s AS BIGINT)
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
RETURNING CAST(r.callback_id AS VARCHAR) AS key;

-- queue: renew
UPDATE app.callbacks AS r SET lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s)
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n, UNNEST(CAST(%(keys)s AS BIGINT[]), CAST(%(lease_numbers)s AS INT[]), CAST(%(begun)s AS BOOLEAN[])) AS i(callback_id, lease_number, begun)
WHERE
  r.callback_id = i.callback_id
  AND r.lease_number = i.lease_number
  AND r.lease_owner = %(owner)s
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['processing']
    ) AS VARCHAR[])
  )
  AND r.callback_id = ANY(
    ARRAY(SELECT
      t.callback_id
    FROM app.callbacks AS t
    WHERE
      t.callback_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(keys)s AS BIGINT[])))
      )
    ORDER BY
      t.callback_id   FOR NO KEY UPDATE SKIP LOCKED)
  )
RETURNING CAST(r.callback_id AS VARCHAR) AS key, CAST(NULL AS VARCHAR) AS stop_reason;

-- queue: held
SELECT
  CAST(t.callback_id AS VARCHAR) AS key,
  t.lease_number
FROM app.callbacks AS t
WHERE
  t.status IN ('processing') AND t.lease_owner = %(owner)s;

-- queue: messages
SELECT
  CAST(t.callback_id AS VARCHAR) AS key,
  t.job_id,
  t.job_type AS type,
  t.status,
  t.lease_number,
  t.status IN ('queued') AS waiting
FROM app.callbacks AS t
WHERE
  t.callback_id = ANY(
    ARRAY(SELECT
      UNNEST(CAST(%(keys)s AS BIGINT[])))
  );
