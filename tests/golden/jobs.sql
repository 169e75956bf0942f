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
UPDATE app.jobs AS r SET status = 'processing', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, started_at = i.moment, finished_at = NULL, result = NULL, error = NULL, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, message_failures = NULL
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
UPDATE app.jobs AS r SET status = 'completed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, finished_at = i.moment, result = i.result, error = NULL, deadline_at = NULL, message_failures = NULL
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
UPDATE app.jobs AS r SET status = 'failed', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, finished_at = i.moment, result = NULL, error = i.error, deadline_at = NULL, message_failures = NULL
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
UPDATE app.jobs AS r SET status = 'cancelled', move_number = r.move_number + 1, event_type = i.event_type, event_status = i.event_status, event_data = i.event_data, due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, finished_at = i.moment, result = NULL, error = NULL, deadline_at = NULL, message_failures = NULL
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

-- queue: claim
UPDATE app.jobs AS r SET due_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), lease_owner = CAST(%(lease_owner)s AS VARCHAR(100)), lease_number = r.lease_number + 1, send_number = 0
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.job_id = ANY(
    ARRAY(SELECT
      q.job_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.job_id
      FROM app.jobs AS t
      WHERE
        NOT t.due_at IS NULL
        AND t.job_type = k.type
        AND t.due_at <= app.clock()
        AND t.job_id <> ALL(CAST(%(without)s AS VARCHAR[]))
      ORDER BY
        t.due_at
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  )
  AND NOT r.due_at IS NULL
RETURNING CAST(r.job_id AS VARCHAR) AS key, r.job_id, r.job_type, r.lease_number, r.status, r.parameters, r.definition, r.stage_count, r.tasks_total, (
  SELECT
    JSON_AGG(f ORDER BY f.stage)
  FROM (
    SELECT
      c.stage_id,
      c.job_id,
      c.stage,
      c.name,
      c.task_type,
      c.status,
      c.definition,
      c.tasks_total,
      c.tasks_open,
      c.tasks_completed,
      c.tasks_failed,
      c.tasks_cancelled,
      c.stop_reason,
      c.stop_why
    FROM app.stages AS c
    WHERE
      c.job_id = r.job_id
  ) AS f
) AS stages;

-- queue: due
SELECT
  CAST(r.job_id AS VARCHAR) AS key,
  r.job_id
FROM app.jobs AS r
WHERE
  r.job_id = ANY(
    ARRAY(SELECT
      q.job_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.job_id
      FROM app.jobs AS t
      WHERE
        NOT t.due_at IS NULL
        AND t.job_type = k.type
        AND t.due_at <= app.clock()
        AND t.job_id <> ALL(CAST(%(without)s AS VARCHAR[]))
      ORDER BY
        t.due_at
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  );

-- queue: claim by key
UPDATE app.jobs AS r SET due_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), lease_owner = CAST(%(lease_owner)s AS VARCHAR(100)), lease_number = r.lease_number + 1, send_number = 0
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.job_id = ANY(
    ARRAY(SELECT
      t.job_id
    FROM app.jobs AS t
    JOIN UNNEST(CAST(%(keys)s AS VARCHAR[]), CAST(%(lease_numbers)s AS INT[])) AS i(job_id, lease_number)
      ON i.job_id = t.job_id
    WHERE
      t.job_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(keys)s AS VARCHAR[])))
      )
      AND NOT t.due_at IS NULL
      AND t.lease_owner IS NULL
      AND t.lease_number = i.lease_number
      AND (
        t.job_type = ANY(
          CAST(%(types)s AS VARCHAR[])
        )
      ) IS TRUE
    ORDER BY
      t.job_id   FOR NO KEY UPDATE OF t)
  )
  AND NOT r.due_at IS NULL
RETURNING CAST(r.job_id AS VARCHAR) AS key, r.job_id, r.job_type, r.lease_number, r.status, r.parameters, r.definition, r.stage_count, r.tasks_total, (
  SELECT
    JSON_AGG(f ORDER BY f.stage)
  FROM (
    SELECT
      c.stage_id,
      c.job_id,
      c.stage,
      c.name,
      c.task_type,
      c.status,
      c.definition,
      c.tasks_total,
      c.tasks_open,
      c.tasks_completed,
      c.tasks_failed,
      c.tasks_cancelled,
      c.stop_reason,
      c.stop_why
    FROM app.stages AS c
    WHERE
      c.job_id = r.job_id
  ) AS f
) AS stages;

-- queue: lease for send
UPDATE app.jobs AS r SET due_at = GREATEST(r.due_at, n.moment) + MAKE_INTERVAL(secs => %(lease)s), send_number = r.send_number + 1, lease_owner = NULL, lease_expires_at = NULL
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.job_id = ANY(
    ARRAY(SELECT
      q.job_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.job_id
      FROM app.jobs AS t
      WHERE
        NOT t.due_at IS NULL
        AND t.job_type = k.type
        AND t.due_at <= app.clock() + MAKE_INTERVAL(secs => %(horizon)s)
        AND (
          t.due_at <= app.clock() OR t.send_number = 0 AND t.lease_owner IS NULL
        )
        AND t.job_id <> ALL(CAST(%(without)s AS VARCHAR[]))
      ORDER BY
        t.due_at
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  )
  AND NOT r.due_at IS NULL
RETURNING CAST(r.job_id AS VARCHAR) AS key, r.job_id, r.lease_number, r.send_number, CAST(EXTRACT(EPOCH FROM r.due_at - MAKE_INTERVAL(secs => %(lease)s) - n.moment) AS DOUBLE PRECISION) AS delay;

-- queue: to send
SELECT
  CAST(r.job_id AS VARCHAR) AS key,
  r.job_id
FROM app.jobs AS r
WHERE
  r.job_id = ANY(
    ARRAY(SELECT
      q.job_id
    FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type)
    CROSS JOIN LATERAL (
      SELECT
        t.job_id
      FROM app.jobs AS t
      WHERE
        NOT t.due_at IS NULL
        AND t.job_type = k.type
        AND t.due_at <= app.clock() + MAKE_INTERVAL(secs => %(horizon)s)
        AND (
          t.due_at <= app.clock() OR t.send_number = 0 AND t.lease_owner IS NULL
        )
        AND t.job_id <> ALL(CAST(%(without)s AS VARCHAR[]))
      ORDER BY
        t.due_at
      LIMIT %(limit)s   FOR NO KEY UPDATE SKIP LOCKED
    ) AS q
    LIMIT %(limit)s)
  );

-- queue: confirm sent
UPDATE app.jobs AS r SET due_at = r.due_at + MAKE_INTERVAL(
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
) AS n, UNNEST(CAST(%(keys)s AS VARCHAR[]), CAST(%(lease_numbers)s AS INT[]), CAST(%(send_numbers)s AS INT[])) AS i(job_id, lease_number, send_number)
WHERE
  r.job_id = i.job_id
  AND r.lease_number = i.lease_number
  AND r.send_number = i.send_number
  AND NOT r.due_at IS NULL
  AND r.lease_owner IS NULL
  AND r.job_id = ANY(
    ARRAY(SELECT
      t.job_id
    FROM app.jobs AS t
    WHERE
      t.job_id = ANY(
        ARRAY(SELECT
          UNNEST(CAST(%(keys)s AS VARCHAR[])))
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE SKIP LOCKED)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- queue: redirect
UPDATE app.jobs AS r SET due_at = n.moment + MAKE_INTERVAL(secs => %(delay)s), send_number = r.send_number + 1
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.job_id = CAST(%(key)s AS VARCHAR(64))
  AND r.lease_number = %(lease_number)s
  AND NOT r.due_at IS NULL
  AND r.lease_owner IS NULL
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued', 'processing']
    ) AS VARCHAR[])
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- queue: renew
UPDATE app.jobs AS r SET due_at = n.moment + MAKE_INTERVAL(secs => %(lease)s), lease_expires_at = n.moment + MAKE_INTERVAL(secs => %(lease)s)
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n, UNNEST(CAST(%(keys)s AS VARCHAR[]), CAST(%(lease_numbers)s AS INT[]), CAST(%(begun)s AS BOOLEAN[])) AS i(job_id, lease_number, begun)
WHERE
  r.job_id = i.job_id
  AND r.lease_number = i.lease_number
  AND r.lease_owner = %(owner)s
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
          UNNEST(CAST(%(keys)s AS VARCHAR[])))
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE SKIP LOCKED)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key, CAST(NULL AS VARCHAR) AS stop_reason;

-- queue: held
SELECT
  CAST(t.job_id AS VARCHAR) AS key,
  t.lease_number
FROM app.jobs AS t
WHERE
  NOT t.due_at IS NULL AND t.lease_owner = %(owner)s;

-- queue: messages
SELECT
  CAST(t.job_id AS VARCHAR) AS key,
  t.job_id,
  t.job_type AS type,
  t.status,
  t.lease_number,
  NOT t.due_at IS NULL AND t.lease_owner IS NULL AS waiting
FROM app.jobs AS t
WHERE
  t.job_id = ANY(
    ARRAY(SELECT
      UNNEST(CAST(%(keys)s AS VARCHAR[])))
  );

-- queue: acknowledge
UPDATE app.jobs AS r SET due_at = NULL, lease_owner = NULL, lease_expires_at = NULL, message_failures = NULL
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.job_id = CAST(%(key)s AS VARCHAR(64))
  AND r.lease_number = %(lease_number)s
  AND NOT r.lease_owner IS NULL
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['processing']
    ) AS VARCHAR[])
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- queue: requeue
UPDATE app.jobs AS r SET due_at = n.moment, lease_owner = NULL, lease_expires_at = NULL
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n, UNNEST(CAST(%(keys)s AS VARCHAR[])) AS i(job_id)
WHERE
  r.job_id = i.job_id
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
          UNNEST(CAST(%(keys)s AS VARCHAR[])))
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- queue: retry later
UPDATE app.jobs AS r SET due_at = n.moment + MAKE_INTERVAL(secs => %(delay)s), lease_owner = NULL, lease_expires_at = NULL, message_failures = COALESCE(r.message_failures, 0) + 1
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n
WHERE
  r.job_id = CAST(%(key)s AS VARCHAR(64))
  AND r.lease_number = %(lease_number)s
  AND NOT r.lease_owner IS NULL
  AND r.status = ANY(
    CAST((
      SELECT
        ARRAY['queued', 'processing']
    ) AS VARCHAR[])
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;

-- queue: requeue stalled
UPDATE app.jobs AS r SET due_at = n.moment, lease_owner = NULL, lease_expires_at = NULL
FROM (
  SELECT
    (
      SELECT
        app.clock()
    ) AS moment
  OFFSET 0
) AS n, UNNEST(CAST(%(keys)s AS VARCHAR[])) AS i(job_id)
WHERE
  r.job_id = i.job_id
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
          UNNEST(CAST(%(keys)s AS VARCHAR[])))
      )
      AND t.due_at IS NULL
      AND NOT EXISTS(
        SELECT
          1
        FROM app.stages AS c
        WHERE
          c.job_id = t.job_id AND c.status = 'processing'
      )
    ORDER BY
      t.job_id   FOR NO KEY UPDATE SKIP LOCKED)
  )
RETURNING CAST(r.job_id AS VARCHAR) AS key;
