SET client_min_messages = warning;

CREATE SCHEMA IF NOT EXISTS app;

DO $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'coremachine_app') THEN
    CREATE ROLE coremachine_app NOLOGIN;
    -- since PostgreSQL 16 who creates a role may grant it, but not take it
    IF NOT pg_catalog.pg_has_role('coremachine_app', CASE
      WHEN pg_catalog.current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END) THEN
      GRANT coremachine_app TO CURRENT_USER;
    END IF;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL; -- another installation on this server was first
END $body$;

GRANT USAGE ON SCHEMA app TO coremachine_app;

CREATE OR REPLACE FUNCTION app.clock() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $body$ SELECT pg_catalog.clock_timestamp() $body$;

CREATE TABLE IF NOT EXISTS app.installed (
  part VARCHAR(40) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  CONSTRAINT installed_pkey PRIMARY KEY (part)
);

CREATE TABLE IF NOT EXISTS app.workers (
  worker VARCHAR(100) NOT NULL,
  started_at TIMESTAMPTZ NOT NULL DEFAULT app.clock(),
  seen_at TIMESTAMPTZ NOT NULL,
  stopped_at TIMESTAMPTZ,
  runs BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  last_error JSONB,
  found JSONB NOT NULL,
  loops JSONB NOT NULL DEFAULT '{}',
  bus VARCHAR(20) NOT NULL DEFAULT 'postgres',
  unsent_s DOUBLE PRECISION,
  dead_letters BIGINT NOT NULL DEFAULT 0,
  CONSTRAINT workers_pkey PRIMARY KEY (worker),
  CONSTRAINT workers_objects CHECK (JSONB_TYPEOF(found) = 'object' AND JSONB_TYPEOF(loops) = 'object'),
  CONSTRAINT workers_in_range CHECK (LEAST(runs, failures, dead_letters) >= 0
  AND unsent_s >= 0
  AND unsent_s < 1e9
  AND LEAST(started_at, seen_at, stopped_at) > '-infinity'
  AND GREATEST(started_at, seen_at, stopped_at) < '9999-01-01 00:00:00+00')
);

CREATE TABLE IF NOT EXISTS app.dead_letters (
  queue TEXT NOT NULL,
  message_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  reason TEXT NOT NULL,
  description TEXT NOT NULL,
  read_at TIMESTAMPTZ NOT NULL DEFAULT app.clock(),
  CONSTRAINT dead_letters_pkey PRIMARY KEY (queue, message_id, digest)
);

CREATE TABLE IF NOT EXISTS app.set_aside (
  step VARCHAR(40) NOT NULL,
  item VARCHAR(200) NOT NULL,
  job_id VARCHAR(64),
  since TIMESTAMPTZ NOT NULL,
  times INT NOT NULL,
  until TIMESTAMPTZ NOT NULL,
  error JSONB NOT NULL,
  worker VARCHAR(100) NOT NULL,
  CONSTRAINT set_aside_pkey PRIMARY KEY (step, item),
  CONSTRAINT set_aside_objects CHECK (JSONB_TYPEOF(error) = 'object'),
  CONSTRAINT set_aside_in_range CHECK (times >= 1
  AND LEAST(since, until) > '-infinity'
  AND GREATEST(since, until) < '9999-01-01 00:00:00+00')
);

CREATE TABLE IF NOT EXISTS app.legal_transitions (
  machine VARCHAR(40) NOT NULL,
  trigger VARCHAR(40) NOT NULL,
  source VARCHAR(20) NOT NULL,
  target VARCHAR(20) NOT NULL,
  event_type VARCHAR(50) NOT NULL,
  event_status VARCHAR(20) NOT NULL,
  CONSTRAINT legal_transitions_pkey PRIMARY KEY (machine, trigger, source)
);

CREATE OR REPLACE FUNCTION app.refuse_move() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  subject text := TG_ARGV[0] || ' ' || (to_jsonb(NEW) ->> TG_ARGV[1]);
  legal text;
  event_fits boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    RAISE EXCEPTION '% cannot be created % with event % (%)', subject, NEW.status, coalesce(NEW.event_type, 'none'),
      coalesce(NEW.event_status, 'none')
      USING ERRCODE = 'CM002',
            HINT = format('A new %s is %s, and has not moved.', TG_ARGV[0], TG_ARGV[2]);
  END IF;
  SELECT string_agg(format('%s (%s)', t.target, t.trigger), ', ' ORDER BY t.target, t.trigger),
         coalesce(bool_or(t.target = NEW.status), false)
    INTO legal, event_fits
    FROM app.legal_transitions AS t WHERE t.machine = TG_ARGV[0] AND t.source = OLD.status;
  IF event_fits THEN
    RAISE EXCEPTION '%: % → % cannot have event % (%) number %', subject, OLD.status, NEW.status,
      coalesce(NEW.event_type, 'none'), coalesce(NEW.event_status, 'none'), NEW.move_number
      USING ERRCODE = 'CM001', DETAIL = format('The last move was number %s.', OLD.move_number),
      HINT = 'Do not set the event columns, or set them as the lifecycle declares.';
  END IF;
  RAISE EXCEPTION '%: % → % is not a legal move; legal from %: %', subject, OLD.status, NEW.status, OLD.status,
    coalesce(legal, 'nothing') USING ERRCODE = 'CM001';
END $body$;

CREATE OR REPLACE FUNCTION app.stamp_move() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  edge text := (SELECT a.edge FROM unnest(TG_ARGV) WITH ORDINALITY AS a(edge, place)
                WHERE starts_with(a.edge, OLD.status || ' ' || NEW.status || ' ') ORDER BY a.place LIMIT 1);
BEGIN
  IF edge IS NOT NULL THEN
    NEW.move_number := OLD.move_number + 1;
    NEW.event_type := split_part(edge, ' ', 3);
    NEW.event_status := CASE split_part(edge, ' ', 4) WHEN 'failure' THEN 'failure' ELSE 'warning' END;
    NEW.event_data := jsonb_build_object('reason', 'moved by a client that gave no event', 'source', OLD.status,
      'target', NEW.status, 'client', current_setting('application_name'), 'user', session_user);
  END IF;
  RETURN NEW;
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_event() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  RAISE EXCEPTION '% %: an event (% number %) without a move; the row stays %', TG_ARGV[0],
    to_jsonb(NEW) ->> TG_ARGV[1], coalesce(NEW.event_type, 'none'), NEW.move_number, OLD.status
    USING ERRCODE = 'CM003', HINT = 'Only moves write events.';
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_change_of(subject text, was jsonb, wanted jsonb, on_table oid)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  changed text := (SELECT string_agg(n.key, ', ' ORDER BY n.key) FROM jsonb_each(wanted) AS n
                   WHERE n.value IS DISTINCT FROM was -> n.key);
BEGIN
  IF current_setting('coremachine.repairing', true) = 'on'
    AND pg_has_role(coalesce(nullif(current_setting('role'), 'none'), session_user)::name,
      (SELECT c.relowner FROM pg_class AS c WHERE c.oid = on_table), 'USAGE') THEN
    RETURN;
  END IF;
  RAISE EXCEPTION '%: no declared change allows this of %; the row stays %', subject,
    coalesce(changed, 'a row that has ended'), was ->> 'status'
    USING ERRCODE = 'CM007', HINT = 'A late result overwrites nothing. To run the work again, resume it.';
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM app.refuse_change_of(TG_ARGV[0] || ' ' || (to_jsonb(OLD) ->> TG_ARGV[1]), to_jsonb(OLD), to_jsonb(NEW),
    TG_RELID);
  RETURN NEW;
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_key() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  RAISE EXCEPTION '% %: its key cannot become %', TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[1], to_jsonb(NEW) ->> TG_ARGV[1]
    USING ERRCODE = 'CM004', HINT = 'Events refer to their row by its key. Create another row.';
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_telling() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  RAISE EXCEPTION 'event % is of a move that did not happen', NEW.event_type
    USING ERRCODE = 'CM005', HINT = 'Move the row: its event is written with it.';
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_rewrite() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF (TG_OP = 'INSERT' OR TG_OP = 'DELETE' AND current_setting('coremachine.retiring', true) = 'on')
    AND pg_has_role(current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'USAGE') THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    RAISE EXCEPTION '% may not write into %', current_user, TG_TABLE_NAME
      USING ERRCODE = 'CM005', HINT = 'Move the row: its event is written with it.';
  END IF;
  RAISE EXCEPTION '% of %: events are never changed', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'CM006', HINT = 'Delete whole finished jobs with app.retire_jobs().';
END $body$;

DELETE FROM app.legal_transitions
WHERE
  machine IN ('job', 'stage', 'task', 'callback')
  AND NOT (machine, trigger, source) IN (
    ('job', 'start', 'queued'),
    ('job', 'complete', 'processing'),
    ('job', 'fail', 'queued'),
    ('job', 'fail', 'processing'),
    ('job', 'cancel', 'queued'),
    ('job', 'cancel', 'processing'),
    ('job', 'resume', 'failed'),
    ('job', 'resume', 'cancelled'),
    ('stage', 'open', 'pending'),
    ('stage', 'complete', 'processing'),
    ('stage', 'fail', 'processing'),
    ('stage', 'cancel', 'processing'),
    ('stage', 'skip', 'pending'),
    ('stage', 'resume', 'failed'),
    ('stage', 'resume', 'cancelled'),
    ('task', 'claim', 'queued'),
    ('task', 'complete', 'processing'),
    ('task', 'fail', 'processing'),
    ('task', 'cancel', 'queued'),
    ('task', 'cancel', 'processing'),
    ('task', 'retry', 'processing'),
    ('task', 'release', 'processing'),
    ('task', 'rescue', 'processing'),
    ('task', 'resume', 'failed'),
    ('task', 'resume', 'cancelled'),
    ('callback', 'claim', 'queued'),
    ('callback', 'complete', 'processing'),
    ('callback', 'fail', 'processing'),
    ('callback', 'retry', 'processing'),
    ('callback', 'release', 'processing'),
    ('callback', 'rescue', 'processing')
  );

INSERT INTO app.legal_transitions AS t (
  machine,
  trigger,
  source,
  target,
  event_type,
  event_status
)
VALUES
  ('job', 'start', 'queued', 'processing', 'job_started', 'success'),
  ('job', 'complete', 'processing', 'completed', 'job_completed', 'success'),
  ('job', 'fail', 'queued', 'failed', 'job_failed', 'failure'),
  ('job', 'fail', 'processing', 'failed', 'job_failed', 'failure'),
  ('job', 'cancel', 'queued', 'cancelled', 'job_cancelled', 'warning'),
  ('job', 'cancel', 'processing', 'cancelled', 'job_cancelled', 'warning'),
  ('job', 'resume', 'failed', 'queued', 'job_resumed', 'warning'),
  ('job', 'resume', 'cancelled', 'queued', 'job_resumed', 'warning'),
  ('stage', 'open', 'pending', 'processing', 'stage_started', 'success'),
  ('stage', 'complete', 'processing', 'completed', 'stage_completed', 'success'),
  ('stage', 'fail', 'processing', 'failed', 'stage_failed', 'failure'),
  ('stage', 'cancel', 'processing', 'cancelled', 'stage_cancelled', 'warning'),
  ('stage', 'skip', 'pending', 'cancelled', 'stage_cancelled', 'warning'),
  ('stage', 'resume', 'failed', 'pending', 'stage_resumed', 'warning'),
  ('stage', 'resume', 'cancelled', 'pending', 'stage_resumed', 'warning'),
  ('task', 'claim', 'queued', 'processing', 'task_started', 'success'),
  ('task', 'complete', 'processing', 'completed', 'task_completed', 'success'),
  ('task', 'fail', 'processing', 'failed', 'task_failed', 'failure'),
  ('task', 'cancel', 'queued', 'cancelled', 'task_cancelled', 'warning'),
  ('task', 'cancel', 'processing', 'cancelled', 'task_cancelled', 'warning'),
  ('task', 'retry', 'processing', 'queued', 'task_retry_scheduled', 'warning'),
  ('task', 'release', 'processing', 'queued', 'task_released', 'warning'),
  ('task', 'rescue', 'processing', 'queued', 'task_rescued', 'warning'),
  ('task', 'resume', 'failed', 'queued', 'task_resumed', 'warning'),
  ('task', 'resume', 'cancelled', 'queued', 'task_resumed', 'warning'),
  ('callback', 'claim', 'queued', 'processing', 'callback_started', 'info'),
  ('callback', 'complete', 'processing', 'completed', 'callback_completed', 'info'),
  ('callback', 'fail', 'processing', 'failed', 'callback_failed', 'failure'),
  (
    'callback',
    'retry',
    'processing',
    'queued',
    'callback_retry_scheduled',
    'warning'
  ),
  ('callback', 'release', 'processing', 'queued', 'callback_released', 'warning'),
  ('callback', 'rescue', 'processing', 'queued', 'callback_rescued', 'warning') ON CONFLICT(machine, trigger, source) DO UPDATE SET target = EXCLUDED.target, event_type = EXCLUDED.event_type, event_status = EXCLUDED.event_status
WHERE
  (t.target, t.event_type, t.event_status) IS DISTINCT FROM (EXCLUDED.target, EXCLUDED.event_type, EXCLUDED.event_status);

CREATE TABLE IF NOT EXISTS app.jobs (
  job_id VARCHAR(64) NOT NULL CHECK (job_id ~ '^[0-9a-f]{64}$'),
  job_type VARCHAR(100) NOT NULL,
  parameters JSON DEFAULT '{}' NOT NULL,
  submission_key VARCHAR(200),
  definition JSONB DEFAULT '{}' NOT NULL,
  stage_count INT NOT NULL CHECK (stage_count >= 1),
  stages_open INT DEFAULT 0 NOT NULL,
  stages_completed INT DEFAULT 0 NOT NULL,
  tasks_total INT DEFAULT 0 NOT NULL,
  result JSON,
  error JSONB CHECK (JSONB_TYPEOF(error) = 'object'),
  message_failures INT,
  deadline INTERVAL,
  deadline_at TIMESTAMPTZ,
  lease_owner VARCHAR(100),
  lease_number INT DEFAULT 0 NOT NULL,
  send_number INT DEFAULT 0 NOT NULL,
  lease_expires_at TIMESTAMPTZ,
  due_at TIMESTAMPTZ DEFAULT app.clock(),
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  status VARCHAR(20) DEFAULT 'queued' NOT NULL,
  created_at TIMESTAMPTZ DEFAULT app.clock() NOT NULL,
  move_number INT DEFAULT 0 NOT NULL,
  event_type VARCHAR(50),
  event_status VARCHAR(20),
  event_data JSONB,
  CONSTRAINT jobs_pkey PRIMARY KEY (job_id),
  CONSTRAINT jobs_status CHECK (status = ANY(
    CAST('{queued,processing,completed,failed,cancelled}' AS TEXT[])
  )),
  CONSTRAINT jobs_due_at_tied CHECK ((
    NOT status = 'queued' OR due_at IS NOT NULL
  )
  AND (
    status = ANY(
      CAST('{queued,processing}' AS TEXT[])
    ) OR due_at IS NULL
  )),
  CONSTRAINT jobs_lease_owner_tied CHECK ((
    status = ANY(
      CAST('{queued,processing}' AS TEXT[])
    ) OR lease_owner IS NULL
  )),
  CONSTRAINT jobs_lease_expires_at_tied CHECK ((
    status = ANY(
      CAST('{queued,processing}' AS TEXT[])
    )
    OR lease_expires_at IS NULL
  )),
  CONSTRAINT jobs_started_at_tied CHECK ((
    NOT status = ANY(
      CAST('{processing,completed}' AS TEXT[])
    )
    OR started_at IS NOT NULL
  )),
  CONSTRAINT jobs_finished_at_tied CHECK ((
    status = ANY(
      CAST('{completed,failed,cancelled}' AS TEXT[])
    )
  ) = (
    finished_at IS NOT NULL
  )),
  CONSTRAINT jobs_result_tied CHECK ((
    status = 'completed'
  ) = (
    result IS NOT NULL
  )),
  CONSTRAINT jobs_error_tied CHECK ((
    status = 'failed'
  ) = (
    error IS NOT NULL
  )),
  CONSTRAINT jobs_deadline_at_tied CHECK ((
    status = ANY(
      CAST('{queued,processing}' AS TEXT[])
    ) OR deadline_at IS NULL
  )),
  CONSTRAINT jobs_message_failures_tied CHECK ((
    status = ANY(
      CAST('{queued,processing}' AS TEXT[])
    )
    OR message_failures IS NULL
  )),
  CONSTRAINT jobs_message_lease CHECK ((
    lease_owner IS NULL
  ) = (
    lease_expires_at IS NULL
  )),
  CONSTRAINT jobs_deadline_set CHECK (deadline IS NULL
  OR deadline_at IS NOT NULL
  OR NOT status IN ('queued', 'processing')),
  CONSTRAINT jobs_stages_counted CHECK (stages_open + stages_completed <= stage_count),
  CONSTRAINT jobs_ended_when_counted CHECK (status IN ('queued', 'processing') OR stages_open = 0),
  CONSTRAINT jobs_completed_whole CHECK (status <> 'completed' OR stages_completed = stage_count),
  CONSTRAINT jobs_event_told CHECK ((
    event_type IS NOT NULL AND event_status IS NOT NULL AND event_data IS NOT NULL
  )),
  CONSTRAINT jobs_in_range CHECK (LEAST(
    stage_count,
    stages_open,
    stages_completed,
    tasks_total,
    message_failures,
    lease_number,
    send_number,
    move_number
  ) >= 0
  AND GREATEST(
    stage_count,
    stages_open,
    stages_completed,
    tasks_total,
    message_failures,
    lease_number,
    send_number,
    move_number
  ) <= 2000000000
  AND LEAST(deadline_at, lease_expires_at, due_at, started_at, finished_at, created_at) > '-infinity'
  AND GREATEST(deadline_at, lease_expires_at, due_at, started_at, finished_at, created_at) < '9999-01-01 00:00:00+00'
  AND LEAST(deadline) >= '0'
  AND GREATEST(deadline) <= '36525 days')
)
WITH (
  fillfactor=80,
  autovacuum_vacuum_scale_factor=0.02,
  autovacuum_vacuum_threshold=1000,
  autovacuum_analyze_scale_factor=0.05
);

CREATE TABLE IF NOT EXISTS app.stages (
  stage_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
  job_id VARCHAR(64) NOT NULL,
  stage INT NOT NULL CHECK (stage >= 1),
  name VARCHAR(100) NOT NULL,
  task_type VARCHAR(100) NOT NULL,
  definition JSONB DEFAULT '{}' NOT NULL,
  tasks_total INT DEFAULT 0 NOT NULL,
  tasks_open INT DEFAULT 0 NOT NULL,
  tasks_completed INT DEFAULT 0 NOT NULL,
  tasks_failed INT DEFAULT 0 NOT NULL,
  tasks_cancelled INT DEFAULT 0 NOT NULL,
  stop_reason VARCHAR(20),
  stop_why TEXT,
  stopped_at TIMESTAMPTZ,
  error JSONB CHECK (JSONB_TYPEOF(error) = 'object'),
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  status VARCHAR(20) DEFAULT 'pending' NOT NULL,
  created_at TIMESTAMPTZ DEFAULT app.clock() NOT NULL,
  move_number INT DEFAULT 0 NOT NULL,
  event_type VARCHAR(50),
  event_status VARCHAR(20),
  event_data JSONB,
  CONSTRAINT stages_pkey PRIMARY KEY (stage_id),
  CONSTRAINT fk_stages_job_id FOREIGN KEY (job_id) REFERENCES app.jobs (
    job_id
  ),
  CONSTRAINT stages_status CHECK (status = ANY(
    CAST('{pending,processing,completed,failed,cancelled}' AS TEXT[])
  )),
  CONSTRAINT stages_started_at_tied CHECK ((
    NOT status = ANY(
      CAST('{processing,completed,failed}' AS TEXT[])
    )
    OR started_at IS NOT NULL
  )
  AND (
    status = ANY(
      CAST('{processing,completed,failed,cancelled}' AS TEXT[])
    )
    OR started_at IS NULL
  )),
  CONSTRAINT stages_finished_at_tied CHECK ((
    status = ANY(
      CAST('{completed,failed,cancelled}' AS TEXT[])
    )
  ) = (
    finished_at IS NOT NULL
  )),
  CONSTRAINT stages_error_tied CHECK ((
    status = 'failed'
  ) = (
    error IS NOT NULL
  )),
  CONSTRAINT stages_stop_reason_tied CHECK ((
    status = 'processing' OR stop_reason IS NULL
  )),
  CONSTRAINT stages_stop_why_tied CHECK ((
    status = 'processing' OR stop_why IS NULL
  )),
  CONSTRAINT stages_stopped_at_tied CHECK ((
    status = 'processing' OR stopped_at IS NULL
  )),
  CONSTRAINT stages_counters_add_up CHECK (tasks_open + tasks_completed + tasks_failed + tasks_cancelled = tasks_total),
  CONSTRAINT stages_closed_when_counted CHECK (status = 'processing' OR tasks_open = 0),
  CONSTRAINT stages_completed_whole CHECK (status <> 'completed' OR tasks_completed = tasks_total),
  CONSTRAINT stages_event_told CHECK (move_number = 0
  OR (
    event_type IS NOT NULL AND event_status IS NOT NULL AND event_data IS NOT NULL
  )),
  CONSTRAINT stages_in_range CHECK (LEAST(stage, tasks_total, tasks_open, tasks_completed, tasks_failed, tasks_cancelled, move_number) >= 0
  AND GREATEST(stage, tasks_total, tasks_open, tasks_completed, tasks_failed, tasks_cancelled, move_number) <= 2000000000
  AND LEAST(stopped_at, started_at, finished_at, created_at) > '-infinity'
  AND GREATEST(stopped_at, started_at, finished_at, created_at) < '9999-01-01 00:00:00+00')
)
WITH (
  fillfactor=70
);

CREATE TABLE IF NOT EXISTS app.tasks (
  task_id VARCHAR(64) NOT NULL,
  job_id VARCHAR(64) NOT NULL,
  stage_id BIGINT NOT NULL,
  stage INT NOT NULL,
  task_index INT NOT NULL CHECK (task_index >= 0),
  task_number INT NOT NULL CHECK (task_number >= 1),
  task_type VARCHAR(100) NOT NULL,
  item JSON,
  result JSON,
  error JSONB CHECK (JSONB_TYPEOF(error) = 'object'),
  lease_owner VARCHAR(100),
  lease_number INT DEFAULT 0 NOT NULL,
  send_number INT DEFAULT 0 NOT NULL,
  lease_expires_at TIMESTAMPTZ,
  due_at TIMESTAMPTZ DEFAULT app.clock(),
  attempt INT DEFAULT 1 NOT NULL,
  max_attempts INT DEFAULT 1 NOT NULL,
  rescues INT DEFAULT 0 NOT NULL,
  max_rescues INT DEFAULT 3 NOT NULL,
  timeout INTERVAL,
  deadline_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  status VARCHAR(20) DEFAULT 'queued' NOT NULL,
  created_at TIMESTAMPTZ DEFAULT app.clock() NOT NULL,
  move_number INT DEFAULT 0 NOT NULL,
  event_type VARCHAR(50),
  event_status VARCHAR(20),
  event_data JSONB,
  CONSTRAINT tasks_pkey PRIMARY KEY (task_id),
  CONSTRAINT fk_tasks_stage_id FOREIGN KEY (stage_id) REFERENCES app.stages (
    stage_id
  ),
  CONSTRAINT tasks_status CHECK (status = ANY(
    CAST('{queued,processing,completed,failed,cancelled}' AS TEXT[])
  )),
  CONSTRAINT tasks_due_at_tied CHECK ((
    status = 'queued'
  ) = (
    due_at IS NOT NULL
  )),
  CONSTRAINT tasks_lease_owner_tied CHECK ((
    status = 'processing'
  ) = (
    lease_owner IS NOT NULL
  )),
  CONSTRAINT tasks_lease_expires_at_tied CHECK ((
    status = 'processing'
  ) = (
    lease_expires_at IS NOT NULL
  )),
  CONSTRAINT tasks_deadline_at_tied CHECK ((
    status = 'processing' OR deadline_at IS NULL
  )),
  CONSTRAINT tasks_started_at_tied CHECK ((
    NOT status = ANY(
      CAST('{processing,completed,failed}' AS TEXT[])
    )
    OR started_at IS NOT NULL
  )),
  CONSTRAINT tasks_finished_at_tied CHECK ((
    status = ANY(
      CAST('{completed,failed,cancelled}' AS TEXT[])
    )
  ) = (
    finished_at IS NOT NULL
  )),
  CONSTRAINT tasks_result_tied CHECK ((
    status = 'completed'
  ) = (
    result IS NOT NULL
  )),
  CONSTRAINT tasks_error_tied CHECK ((
    status = 'failed'
  ) = (
    error IS NOT NULL
  )),
  CONSTRAINT tasks_attempts CHECK (attempt BETWEEN 1 AND max_attempts),
  CONSTRAINT tasks_rescues_counted CHECK (rescues BETWEEN 0 AND max_rescues),
  CONSTRAINT tasks_event_told CHECK (move_number = 0
  OR (
    event_type IS NOT NULL AND event_status IS NOT NULL AND event_data IS NOT NULL
  )),
  CONSTRAINT tasks_in_range CHECK (LEAST(
    stage,
    task_index,
    task_number,
    lease_number,
    send_number,
    attempt,
    max_attempts,
    rescues,
    max_rescues,
    move_number
  ) >= 0
  AND GREATEST(
    stage,
    task_index,
    task_number,
    lease_number,
    send_number,
    attempt,
    max_attempts,
    rescues,
    max_rescues,
    move_number
  ) <= 2000000000
  AND LEAST(lease_expires_at, due_at, deadline_at, started_at, finished_at, created_at) > '-infinity'
  AND GREATEST(lease_expires_at, due_at, deadline_at, started_at, finished_at, created_at) < '9999-01-01 00:00:00+00'
  AND LEAST(timeout) >= '0'
  AND GREATEST(timeout) <= '36525 days')
)
WITH (
  fillfactor=80,
  autovacuum_vacuum_scale_factor=0.02,
  autovacuum_vacuum_threshold=1000,
  autovacuum_analyze_scale_factor=0.05
);

CREATE TABLE IF NOT EXISTS app.callbacks (
  callback_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
  job_id VARCHAR(64) NOT NULL,
  job_type VARCHAR(100) NOT NULL,
  name VARCHAR(100) NOT NULL,
  lease_owner VARCHAR(100),
  lease_number INT DEFAULT 0 NOT NULL,
  send_number INT DEFAULT 0 NOT NULL,
  lease_expires_at TIMESTAMPTZ,
  due_at TIMESTAMPTZ DEFAULT app.clock(),
  attempt INT DEFAULT 1 NOT NULL,
  max_attempts INT DEFAULT 1 NOT NULL,
  rescues INT DEFAULT 0 NOT NULL,
  max_rescues INT DEFAULT 3 NOT NULL,
  timeout INTERVAL,
  deadline_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  status VARCHAR(20) DEFAULT 'queued' NOT NULL,
  created_at TIMESTAMPTZ DEFAULT app.clock() NOT NULL,
  move_number INT DEFAULT 0 NOT NULL,
  event_type VARCHAR(50),
  event_status VARCHAR(20),
  event_data JSONB,
  CONSTRAINT callbacks_pkey PRIMARY KEY (callback_id),
  CONSTRAINT fk_callbacks_job_id FOREIGN KEY (job_id) REFERENCES app.jobs (
    job_id
  ),
  CONSTRAINT callbacks_status CHECK (status = ANY(
    CAST('{queued,processing,completed,failed}' AS TEXT[])
  )),
  CONSTRAINT callbacks_due_at_tied CHECK ((
    status = 'queued'
  ) = (
    due_at IS NOT NULL
  )),
  CONSTRAINT callbacks_lease_owner_tied CHECK ((
    status = 'processing'
  ) = (
    lease_owner IS NOT NULL
  )),
  CONSTRAINT callbacks_lease_expires_at_tied CHECK ((
    status = 'processing'
  ) = (
    lease_expires_at IS NOT NULL
  )),
  CONSTRAINT callbacks_deadline_at_tied CHECK ((
    status = 'processing' OR deadline_at IS NULL
  )),
  CONSTRAINT callbacks_started_at_tied CHECK ((
    NOT status = ANY(
      CAST('{processing,completed,failed}' AS TEXT[])
    )
    OR started_at IS NOT NULL
  )),
  CONSTRAINT callbacks_finished_at_tied CHECK ((
    status = ANY(
      CAST('{completed,failed}' AS TEXT[])
    )
  ) = (
    finished_at IS NOT NULL
  )),
  CONSTRAINT callbacks_attempts CHECK (attempt BETWEEN 1 AND max_attempts),
  CONSTRAINT callbacks_rescues_counted CHECK (rescues BETWEEN 0 AND max_rescues),
  CONSTRAINT callbacks_event_told CHECK (move_number = 0
  OR (
    event_type IS NOT NULL AND event_status IS NOT NULL AND event_data IS NOT NULL
  )),
  CONSTRAINT callbacks_in_range CHECK (LEAST(lease_number, send_number, attempt, max_attempts, rescues, max_rescues, move_number) >= 0
  AND GREATEST(lease_number, send_number, attempt, max_attempts, rescues, max_rescues, move_number) <= 2000000000
  AND LEAST(lease_expires_at, due_at, deadline_at, started_at, finished_at, created_at) > '-infinity'
  AND GREATEST(lease_expires_at, due_at, deadline_at, started_at, finished_at, created_at) < '9999-01-01 00:00:00+00'
  AND LEAST(timeout) >= '0'
  AND GREATEST(timeout) <= '36525 days')
)
WITH (
  fillfactor=80,
  autovacuum_vacuum_scale_factor=0.02,
  autovacuum_vacuum_threshold=1000,
  autovacuum_analyze_scale_factor=0.05
);

CREATE INDEX IF NOT EXISTS jobs_due ON app.jobs(job_type, due_at)
WHERE
  due_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS jobs_under_way ON app.jobs(job_id)
WHERE
  status = 'processing';

CREATE INDEX IF NOT EXISTS jobs_with_deadline ON app.jobs(deadline_at)
WHERE
  deadline_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS jobs_recent ON app.jobs(created_at, job_id);

CREATE UNIQUE INDEX IF NOT EXISTS stages_in_order ON app.stages(job_id, stage);

CREATE INDEX IF NOT EXISTS stages_open ON app.stages(stage_id)
WHERE
  status = 'processing';

CREATE UNIQUE INDEX IF NOT EXISTS stages_by_name ON app.stages(job_id, name);

CREATE UNIQUE INDEX IF NOT EXISTS tasks_in_order ON app.tasks(stage_id, task_index);

CREATE INDEX IF NOT EXISTS tasks_due ON app.tasks(task_type, due_at, task_number)
WHERE
  status = 'queued';

CREATE INDEX IF NOT EXISTS tasks_leased ON app.tasks(lease_expires_at)
WHERE
  status = 'processing';

CREATE UNIQUE INDEX IF NOT EXISTS callbacks_once ON app.callbacks(job_id, name);

CREATE INDEX IF NOT EXISTS callbacks_due ON app.callbacks(job_type, due_at, callback_id)
WHERE
  status = 'queued';

CREATE INDEX IF NOT EXISTS callbacks_leased ON app.callbacks(lease_expires_at)
WHERE
  status = 'processing';

CREATE TABLE IF NOT EXISTS app.job_events (
  event_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
  job_id VARCHAR(64) NOT NULL,
  stage INT,
  task_id VARCHAR(64),
  lease_number INT,
  attempt INT,
  event_type VARCHAR(50) NOT NULL,
  event_status VARCHAR(20),
  event_data JSONB DEFAULT '{}' NOT NULL,
  created_at TIMESTAMPTZ DEFAULT app.clock() NOT NULL,
  transaction_id XID8 DEFAULT PG_CURRENT_XACT_ID() NOT NULL,
  CONSTRAINT job_events_pkey PRIMARY KEY (event_id),
  CONSTRAINT fk_job FOREIGN KEY (job_id) REFERENCES app.jobs (
    job_id
  ),
  CONSTRAINT job_events_status CHECK (event_status = ANY(
    CAST('{success,failure,warning,info}' AS TEXT[])
  )),
  CONSTRAINT job_events_type CHECK (event_type = ANY(
    CAST('{callback_completed,callback_executed,callback_failed,callback_released,callback_rescued,callback_retry_scheduled,callback_started,checkpoint,finalizer_failed,gap_found,job_cancelled,job_completed,job_created,job_failed,job_queued,job_resumed,job_started,message_dead_lettered,progress,stage_cancelled,stage_completed,stage_empty,stage_failed,stage_resumed,stage_started,stale_result_rejected,stop_requested,task_cancelled,task_completed,task_failed,task_released,task_rescued,task_resumed,task_retry_scheduled,task_started}' AS TEXT[])
  ))
);

CREATE INDEX IF NOT EXISTS idx_job_events_job ON app.job_events(job_id, event_id);

CREATE INDEX IF NOT EXISTS idx_job_events_time ON app.job_events(created_at);

CREATE INDEX IF NOT EXISTS idx_job_events_follow ON app.job_events(job_id, transaction_id, event_id);

CREATE INDEX IF NOT EXISTS idx_job_events_trouble ON app.job_events(job_id, event_id)
WHERE
  event_status IN ('failure', 'warning');

CREATE INDEX IF NOT EXISTS idx_job_events_outline ON app.job_events(job_id, event_id)
WHERE
  task_id IS NULL;

CREATE INDEX IF NOT EXISTS idx_job_events_task ON app.job_events(task_id, event_id)
WHERE
  task_id IS NOT NULL;

CREATE OR REPLACE FUNCTION app.refuse_undeclared_job() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF (
  NOT ROW(
    NEW.job_type,
    CAST(NEW.parameters AS TEXT),
    NEW.submission_key,
    NEW.definition,
    NEW.stage_count,
    NEW.deadline
  ) IS NOT DISTINCT FROM ROW(
    OLD.job_type,
    CAST(OLD.parameters AS TEXT),
    OLD.submission_key,
    OLD.definition,
    OLD.stage_count,
    OLD.deadline
  )
  OR NOT ROW(
    CAST(NEW.result AS TEXT),
    NEW.error,
    NEW.message_failures,
    NEW.deadline_at,
    NEW.lease_owner,
    NEW.lease_number,
    NEW.send_number,
    NEW.lease_expires_at,
    NEW.due_at,
    NEW.started_at,
    NEW.finished_at
  ) IS NOT DISTINCT FROM ROW(
    CAST(OLD.result AS TEXT),
    OLD.error,
    OLD.message_failures,
    OLD.deadline_at,
    OLD.lease_owner,
    OLD.lease_number,
    OLD.send_number,
    OLD.lease_expires_at,
    OLD.due_at,
    OLD.started_at,
    OLD.finished_at
  )
  AND (
    NOT (
      (
        OLD.status = ANY(
          CAST('{queued,processing}' AS TEXT[])
        )
        AND NOT OLD.due_at IS NULL
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NEW.lease_expires_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NOT NEW.lease_owner IS NULL
        )
        AND (
          NEW.lease_number = OLD.lease_number + 1
        )
        AND (
          NEW.send_number = 0
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.message_failures,
          NEW.deadline_at,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.message_failures,
          OLD.deadline_at,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = ANY(
          CAST('{queued,processing}' AS TEXT[])
        )
        AND NOT OLD.lease_owner IS NULL
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NEW.lease_expires_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.message_failures,
          NEW.deadline_at,
          NEW.lease_owner,
          NEW.lease_number,
          NEW.send_number,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.message_failures,
          OLD.deadline_at,
          OLD.lease_owner,
          OLD.lease_number,
          OLD.send_number,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = ANY(
          CAST('{queued,processing}' AS TEXT[])
        )
        AND NOT OLD.due_at IS NULL
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NEW.send_number = OLD.send_number + 1
        )
        AND (
          NEW.lease_owner IS NULL
        )
        AND (
          NEW.lease_expires_at IS NULL
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.message_failures,
          NEW.deadline_at,
          NEW.lease_number,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.message_failures,
          OLD.deadline_at,
          OLD.lease_number,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = ANY(
          CAST('{queued,processing}' AS TEXT[])
        )
        AND NOT OLD.due_at IS NULL
        AND OLD.lease_owner IS NULL
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.message_failures,
          NEW.deadline_at,
          NEW.lease_owner,
          NEW.lease_number,
          NEW.send_number,
          NEW.lease_expires_at,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.message_failures,
          OLD.deadline_at,
          OLD.lease_owner,
          OLD.lease_number,
          OLD.send_number,
          OLD.lease_expires_at,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = ANY(
          CAST('{queued,processing}' AS TEXT[])
        )
        AND NOT OLD.due_at IS NULL
        AND OLD.lease_owner IS NULL
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NEW.send_number = OLD.send_number + 1
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.message_failures,
          NEW.deadline_at,
          NEW.lease_owner,
          NEW.lease_number,
          NEW.lease_expires_at,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.message_failures,
          OLD.deadline_at,
          OLD.lease_owner,
          OLD.lease_number,
          OLD.lease_expires_at,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = 'processing'
        AND NOT OLD.lease_owner IS NULL
        AND (
          NEW.due_at IS NULL
        )
        AND (
          NEW.lease_owner IS NULL
        )
        AND (
          NEW.lease_expires_at IS NULL
        )
        AND (
          NEW.message_failures IS NULL
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.deadline_at,
          NEW.lease_number,
          NEW.send_number,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.deadline_at,
          OLD.lease_number,
          OLD.send_number,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = 'processing'
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NEW.lease_owner IS NULL
        )
        AND (
          NEW.lease_expires_at IS NULL
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.message_failures,
          NEW.deadline_at,
          NEW.lease_number,
          NEW.send_number,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.message_failures,
          OLD.deadline_at,
          OLD.lease_number,
          OLD.send_number,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = ANY(
          CAST('{queued,processing}' AS TEXT[])
        )
        AND NOT OLD.lease_owner IS NULL
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NEW.lease_owner IS NULL
        )
        AND (
          NEW.lease_expires_at IS NULL
        )
        AND (
          NEW.message_failures = COALESCE(OLD.message_failures, 0) + 1
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.deadline_at,
          NEW.lease_number,
          NEW.send_number,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.deadline_at,
          OLD.lease_number,
          OLD.send_number,
          OLD.started_at,
          OLD.finished_at
        )
      )
    ) IS TRUE
  )
) THEN
    PERFORM app.refuse_change_of('job ' || OLD.job_id, to_jsonb(OLD), to_jsonb(NEW), TG_RELID);
  END IF;
  RETURN NEW;
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_undeclared_stage() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF (
  NOT ROW(NEW.job_id, NEW.stage, NEW.name, NEW.task_type, NEW.definition) IS NOT DISTINCT FROM ROW(OLD.job_id, OLD.stage, OLD.name, OLD.task_type, OLD.definition)
  OR NOT ROW(NEW.stop_reason, NEW.stop_why, NEW.stopped_at, NEW.error, NEW.started_at, NEW.finished_at) IS NOT DISTINCT FROM ROW(OLD.stop_reason, OLD.stop_why, OLD.stopped_at, OLD.error, OLD.started_at, OLD.finished_at)
  AND (
    NOT (
      (
        OLD.status = 'processing'
        AND (
          (
            NEW.stop_reason = 'cancel'
            OR NEW.stop_reason = 'fail_fast'
            OR NEW.stop_reason = 'deadline'
          )
        )
        AND (
          TRUE
        )
        AND (
          (
            NEW.stopped_at = OLD.stopped_at
            OR OLD.stopped_at IS NULL
            AND NEW.stopped_at <= app.clock()
          )
        )
        AND ROW(NEW.error, NEW.started_at, NEW.finished_at) IS NOT DISTINCT FROM ROW(OLD.error, OLD.started_at, OLD.finished_at)
      )
    ) IS TRUE
  )
) THEN
    PERFORM app.refuse_change_of('stage ' || OLD.stage_id, to_jsonb(OLD), to_jsonb(NEW), TG_RELID);
  END IF;
  RETURN NEW;
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_undeclared_task() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF (
  NOT ROW(
    NEW.job_id,
    NEW.stage_id,
    NEW.stage,
    NEW.task_index,
    NEW.task_number,
    NEW.task_type,
    CAST(NEW.item AS TEXT),
    NEW.max_rescues,
    NEW.timeout
  ) IS NOT DISTINCT FROM ROW(
    OLD.job_id,
    OLD.stage_id,
    OLD.stage,
    OLD.task_index,
    OLD.task_number,
    OLD.task_type,
    CAST(OLD.item AS TEXT),
    OLD.max_rescues,
    OLD.timeout
  )
  OR NOT ROW(
    CAST(NEW.result AS TEXT),
    NEW.error,
    NEW.lease_owner,
    NEW.lease_number,
    NEW.send_number,
    NEW.lease_expires_at,
    NEW.due_at,
    NEW.attempt,
    NEW.max_attempts,
    NEW.rescues,
    NEW.deadline_at,
    NEW.started_at,
    NEW.finished_at
  ) IS NOT DISTINCT FROM ROW(
    CAST(OLD.result AS TEXT),
    OLD.error,
    OLD.lease_owner,
    OLD.lease_number,
    OLD.send_number,
    OLD.lease_expires_at,
    OLD.due_at,
    OLD.attempt,
    OLD.max_attempts,
    OLD.rescues,
    OLD.deadline_at,
    OLD.started_at,
    OLD.finished_at
  )
  AND (
    NOT (
      (
        OLD.status = 'queued'
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NEW.send_number = OLD.send_number + 1
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.lease_owner,
          NEW.lease_number,
          NEW.lease_expires_at,
          NEW.attempt,
          NEW.max_attempts,
          NEW.rescues,
          NEW.deadline_at,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.lease_owner,
          OLD.lease_number,
          OLD.lease_expires_at,
          OLD.attempt,
          OLD.max_attempts,
          OLD.rescues,
          OLD.deadline_at,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = 'queued'
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.lease_owner,
          NEW.lease_number,
          NEW.send_number,
          NEW.lease_expires_at,
          NEW.attempt,
          NEW.max_attempts,
          NEW.rescues,
          NEW.deadline_at,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.lease_owner,
          OLD.lease_number,
          OLD.send_number,
          OLD.lease_expires_at,
          OLD.attempt,
          OLD.max_attempts,
          OLD.rescues,
          OLD.deadline_at,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = 'processing'
        AND (
          NEW.lease_expires_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          (
            NEW.deadline_at IS NOT DISTINCT FROM OLD.deadline_at
            OR NEW.deadline_at <= app.clock() + OLD.timeout
          )
        )
        AND ROW(
          CAST(NEW.result AS TEXT),
          NEW.error,
          NEW.lease_owner,
          NEW.lease_number,
          NEW.send_number,
          NEW.due_at,
          NEW.attempt,
          NEW.max_attempts,
          NEW.rescues,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          CAST(OLD.result AS TEXT),
          OLD.error,
          OLD.lease_owner,
          OLD.lease_number,
          OLD.send_number,
          OLD.due_at,
          OLD.attempt,
          OLD.max_attempts,
          OLD.rescues,
          OLD.started_at,
          OLD.finished_at
        )
      )
    ) IS TRUE
  )
) THEN
    PERFORM app.refuse_change_of('task ' || OLD.task_id, to_jsonb(OLD), to_jsonb(NEW), TG_RELID);
  END IF;
  RETURN NEW;
END $body$;

CREATE OR REPLACE FUNCTION app.refuse_undeclared_callback() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF (
  NOT ROW(NEW.job_id, NEW.job_type, NEW.name, NEW.max_rescues, NEW.timeout) IS NOT DISTINCT FROM ROW(OLD.job_id, OLD.job_type, OLD.name, OLD.max_rescues, OLD.timeout)
  OR NOT ROW(
    NEW.lease_owner,
    NEW.lease_number,
    NEW.send_number,
    NEW.lease_expires_at,
    NEW.due_at,
    NEW.attempt,
    NEW.max_attempts,
    NEW.rescues,
    NEW.deadline_at,
    NEW.started_at,
    NEW.finished_at
  ) IS NOT DISTINCT FROM ROW(
    OLD.lease_owner,
    OLD.lease_number,
    OLD.send_number,
    OLD.lease_expires_at,
    OLD.due_at,
    OLD.attempt,
    OLD.max_attempts,
    OLD.rescues,
    OLD.deadline_at,
    OLD.started_at,
    OLD.finished_at
  )
  AND (
    NOT (
      (
        OLD.status = 'queued'
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND (
          NEW.send_number = OLD.send_number + 1
        )
        AND ROW(
          NEW.lease_owner,
          NEW.lease_number,
          NEW.lease_expires_at,
          NEW.attempt,
          NEW.max_attempts,
          NEW.rescues,
          NEW.deadline_at,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          OLD.lease_owner,
          OLD.lease_number,
          OLD.lease_expires_at,
          OLD.attempt,
          OLD.max_attempts,
          OLD.rescues,
          OLD.deadline_at,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = 'queued'
        AND (
          NEW.due_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND ROW(
          NEW.lease_owner,
          NEW.lease_number,
          NEW.send_number,
          NEW.lease_expires_at,
          NEW.attempt,
          NEW.max_attempts,
          NEW.rescues,
          NEW.deadline_at,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          OLD.lease_owner,
          OLD.lease_number,
          OLD.send_number,
          OLD.lease_expires_at,
          OLD.attempt,
          OLD.max_attempts,
          OLD.rescues,
          OLD.deadline_at,
          OLD.started_at,
          OLD.finished_at
        )
      )
      OR (
        OLD.status = 'processing'
        AND (
          NEW.lease_expires_at <= app.clock() + INTERVAL '1 DAY'
        )
        AND ROW(
          NEW.lease_owner,
          NEW.lease_number,
          NEW.send_number,
          NEW.due_at,
          NEW.attempt,
          NEW.max_attempts,
          NEW.rescues,
          NEW.deadline_at,
          NEW.started_at,
          NEW.finished_at
        ) IS NOT DISTINCT FROM ROW(
          OLD.lease_owner,
          OLD.lease_number,
          OLD.send_number,
          OLD.due_at,
          OLD.attempt,
          OLD.max_attempts,
          OLD.rescues,
          OLD.deadline_at,
          OLD.started_at,
          OLD.finished_at
        )
      )
    ) IS TRUE
  )
) THEN
    PERFORM app.refuse_change_of('callback ' || OLD.callback_id, to_jsonb(OLD), to_jsonb(NEW), TG_RELID);
  END IF;
  RETURN NEW;
END $body$;

CREATE OR REPLACE TRIGGER jobs_0_key BEFORE UPDATE OF job_id
ON
app.jobs
FOR EACH ROW
WHEN (OLD.job_id <> NEW.job_id)
EXECUTE FUNCTION app.refuse_key('job', 'job_id');

CREATE OR REPLACE TRIGGER jobs_2_guard BEFORE UPDATE OF status
ON
app.jobs
FOR EACH ROW
WHEN (NEW.move_number <> OLD.move_number
AND (
  NOT (
    OLD.status || ' ' || NEW.status || ' ' || NEW.event_type || ' ' || NEW.event_status = ANY(
      CAST('{"cancelled queued job_resumed warning","failed queued job_resumed warning","processing cancelled job_cancelled warning","processing completed job_completed success","processing failed job_failed failure","queued cancelled job_cancelled warning","queued failed job_failed failure","queued processing job_started success"}' AS TEXT[])
    )
  ) IS TRUE
  OR NEW.move_number <> OLD.move_number + 1
))
EXECUTE FUNCTION app.refuse_move('job', 'job_id');

CREATE OR REPLACE TRIGGER jobs_2_stamp BEFORE UPDATE OF status
ON
app.jobs
FOR EACH ROW
WHEN (NEW.move_number = OLD.move_number)
EXECUTE FUNCTION app.stamp_move(
  'cancelled queued job_resumed warning',
  'failed queued job_resumed warning',
  'processing cancelled job_cancelled warning',
  'processing completed job_completed success',
  'processing failed job_failed failure',
  'queued cancelled job_cancelled warning',
  'queued failed job_failed failure',
  'queued processing job_started success'
);

CREATE OR REPLACE TRIGGER jobs_2_unstamped BEFORE UPDATE OF status
ON
app.jobs
FOR EACH ROW
WHEN (NEW.move_number = OLD.move_number)
EXECUTE FUNCTION app.refuse_move('job', 'job_id');

CREATE OR REPLACE TRIGGER jobs_3_event BEFORE UPDATE
ON
app.jobs
FOR EACH ROW
WHEN (OLD.status = NEW.status
AND (NEW.move_number, NEW.event_type, NEW.event_status, NEW.event_data) IS DISTINCT FROM (OLD.move_number, OLD.event_type, OLD.event_status, OLD.event_data))
EXECUTE FUNCTION app.refuse_event('job', 'job_id');

CREATE OR REPLACE TRIGGER jobs_4_birth BEFORE INSERT
ON
app.jobs
FOR EACH ROW
WHEN (NEW.status <> 'queued'
OR NEW.move_number <> 0
OR (
  NEW.event_type || ' ' || NEW.event_status
) IS DISTINCT FROM 'job_created success')
EXECUTE FUNCTION app.refuse_move('job', 'job_id', 'queued');

CREATE OR REPLACE TRIGGER jobs_5_moved BEFORE UPDATE OF status
ON
app.jobs
FOR EACH ROW
WHEN (OLD.status <> NEW.status
AND (
  NOT CASE
    WHEN NEW.event_type = 'job_started'
    THEN (
      ROW(NEW.deadline_at, NEW.lease_number, NEW.send_number) IS NOT DISTINCT FROM ROW(OLD.deadline_at, OLD.lease_number, OLD.send_number)
      AND NEW.message_failures IS NULL
      AND NEW.lease_owner IS NULL
      AND NEW.lease_expires_at IS NULL
      AND NEW.due_at IS NULL
    )
    WHEN NEW.event_type = ANY(
      CAST('{job_completed,job_failed,job_cancelled}' AS TEXT[])
    )
    THEN (
      ROW(NEW.lease_number, NEW.send_number, NEW.started_at) IS NOT DISTINCT FROM ROW(OLD.lease_number, OLD.send_number, OLD.started_at)
    )
    WHEN NEW.event_type = 'job_resumed'
    THEN (
      ROW(
        NEW.message_failures,
        NEW.lease_owner,
        NEW.lease_number,
        NEW.send_number,
        NEW.lease_expires_at,
        NEW.started_at
      ) IS NOT DISTINCT FROM ROW(
        OLD.message_failures,
        OLD.lease_owner,
        OLD.lease_number,
        OLD.send_number,
        OLD.lease_expires_at,
        OLD.started_at
      )
    )
  END IS TRUE
))
EXECUTE FUNCTION app.refuse_change('job', 'job_id');

CREATE OR REPLACE TRIGGER jobs_6_ended BEFORE UPDATE
ON
app.jobs
FOR EACH ROW
WHEN (OLD.status = NEW.status
AND OLD.status = ANY(
  CAST('{completed,failed,cancelled}' AS TEXT[])
))
EXECUTE FUNCTION app.refuse_change('job', 'job_id');

CREATE OR REPLACE TRIGGER jobs_7_changed BEFORE UPDATE
ON
app.jobs
FOR EACH ROW
WHEN (OLD.status = NEW.status)
EXECUTE FUNCTION app.refuse_undeclared_job();

CREATE OR REPLACE TRIGGER stages_0_key BEFORE UPDATE OF stage_id
ON
app.stages
FOR EACH ROW
WHEN (OLD.stage_id <> NEW.stage_id)
EXECUTE FUNCTION app.refuse_key('stage', 'stage_id');

CREATE OR REPLACE TRIGGER stages_2_guard BEFORE UPDATE OF status
ON
app.stages
FOR EACH ROW
WHEN (NEW.move_number <> OLD.move_number
AND (
  NOT (
    OLD.status || ' ' || NEW.status || ' ' || NEW.event_type || ' ' || NEW.event_status = ANY(
      CAST('{"cancelled pending stage_resumed warning","failed pending stage_resumed warning","pending cancelled stage_cancelled warning","pending processing stage_started success","processing cancelled stage_cancelled warning","processing completed stage_completed success","processing failed stage_failed failure"}' AS TEXT[])
    )
  ) IS TRUE
  OR NEW.move_number <> OLD.move_number + 1
))
EXECUTE FUNCTION app.refuse_move('stage', 'stage_id');

CREATE OR REPLACE TRIGGER stages_2_stamp BEFORE UPDATE OF status
ON
app.stages
FOR EACH ROW
WHEN (NEW.move_number = OLD.move_number)
EXECUTE FUNCTION app.stamp_move(
  'cancelled pending stage_resumed warning',
  'failed pending stage_resumed warning',
  'pending cancelled stage_cancelled warning',
  'pending processing stage_started success',
  'processing cancelled stage_cancelled warning',
  'processing completed stage_completed success',
  'processing failed stage_failed failure'
);

CREATE OR REPLACE TRIGGER stages_2_unstamped BEFORE UPDATE OF status
ON
app.stages
FOR EACH ROW
WHEN (NEW.move_number = OLD.move_number)
EXECUTE FUNCTION app.refuse_move('stage', 'stage_id');

CREATE OR REPLACE TRIGGER stages_3_event BEFORE UPDATE
ON
app.stages
FOR EACH ROW
WHEN (OLD.status = NEW.status
AND (NEW.move_number, NEW.event_type, NEW.event_status, NEW.event_data) IS DISTINCT FROM (OLD.move_number, OLD.event_type, OLD.event_status, OLD.event_data))
EXECUTE FUNCTION app.refuse_event('stage', 'stage_id');

CREATE OR REPLACE TRIGGER stages_4_birth BEFORE INSERT
ON
app.stages
FOR EACH ROW
WHEN (NEW.status <> 'pending'
OR NEW.move_number <> 0
OR NOT NEW.event_type IS NULL
OR NOT NEW.event_status IS NULL)
EXECUTE FUNCTION app.refuse_move('stage', 'stage_id', 'pending');

CREATE OR REPLACE TRIGGER stages_5_moved BEFORE UPDATE OF status
ON
app.stages
FOR EACH ROW
WHEN (OLD.status <> NEW.status
AND (
  NOT CASE
    WHEN NEW.event_type = 'stage_started'
    THEN (
      ROW(NEW.stop_reason, NEW.stop_why, NEW.stopped_at) IS NOT DISTINCT FROM ROW(OLD.stop_reason, OLD.stop_why, OLD.stopped_at)
    )
    WHEN NEW.event_type = ANY(
      CAST('{stage_completed,stage_failed,stage_cancelled}' AS TEXT[])
    )
    THEN (
      NEW.started_at IS NOT DISTINCT FROM OLD.started_at
    )
    WHEN NEW.event_type = 'stage_resumed'
    THEN (
      TRUE
    )
  END IS TRUE
))
EXECUTE FUNCTION app.refuse_change('stage', 'stage_id');

CREATE OR REPLACE TRIGGER stages_6_ended BEFORE UPDATE
ON
app.stages
FOR EACH ROW
WHEN (OLD.status = NEW.status
AND OLD.status = ANY(
  CAST('{completed,failed,cancelled}' AS TEXT[])
))
EXECUTE FUNCTION app.refuse_change('stage', 'stage_id');

CREATE OR REPLACE TRIGGER stages_7_changed BEFORE UPDATE
ON
app.stages
FOR EACH ROW
WHEN (OLD.status = NEW.status)
EXECUTE FUNCTION app.refuse_undeclared_stage();

CREATE OR REPLACE TRIGGER tasks_0_key BEFORE UPDATE OF task_id
ON
app.tasks
FOR EACH ROW
WHEN (OLD.task_id <> NEW.task_id)
EXECUTE FUNCTION app.refuse_key('task', 'task_id');

CREATE OR REPLACE TRIGGER tasks_2_guard BEFORE UPDATE OF status
ON
app.tasks
FOR EACH ROW
WHEN (NEW.move_number <> OLD.move_number
AND (
  NOT (
    OLD.status || ' ' || NEW.status || ' ' || NEW.event_type || ' ' || NEW.event_status = ANY(
      CAST('{"cancelled queued task_resumed warning","failed queued task_resumed warning","processing cancelled task_cancelled warning","processing completed task_completed success","processing failed task_failed failure","processing queued task_released warning","processing queued task_rescued warning","processing queued task_retry_scheduled warning","queued cancelled task_cancelled warning","queued processing task_started success"}' AS TEXT[])
    )
  ) IS TRUE
  OR NEW.move_number <> OLD.move_number + 1
))
EXECUTE FUNCTION app.refuse_move('task', 'task_id');

CREATE OR REPLACE TRIGGER tasks_2_stamp BEFORE UPDATE OF status
ON
app.tasks
FOR EACH ROW
WHEN (NEW.move_number = OLD.move_number)
EXECUTE FUNCTION app.stamp_move(
  'cancelled queued task_resumed warning',
  'failed queued task_resumed warning',
  'processing cancelled task_cancelled warning',
  'processing completed task_completed success',
  'processing failed task_failed failure',
  'processing queued task_released warning',
  'processing queued task_rescued warning',
  'processing queued task_retry_scheduled warning',
  'queued cancelled task_cancelled warning',
  'queued processing task_started success'
);

CREATE OR REPLACE TRIGGER tasks_2_unstamped BEFORE UPDATE OF status
ON
app.tasks
FOR EACH ROW
WHEN (NEW.move_number = OLD.move_number)
EXECUTE FUNCTION app.refuse_move('task', 'task_id');

CREATE OR REPLACE TRIGGER tasks_3_event BEFORE UPDATE
ON
app.tasks
FOR EACH ROW
WHEN (OLD.status = NEW.status
AND (NEW.move_number, NEW.event_type, NEW.event_status, NEW.event_data) IS DISTINCT FROM (OLD.move_number, OLD.event_type, OLD.event_status, OLD.event_data))
EXECUTE FUNCTION app.refuse_event('task', 'task_id');

CREATE OR REPLACE TRIGGER tasks_4_birth BEFORE INSERT
ON
app.tasks
FOR EACH ROW
WHEN (NEW.status <> 'queued'
OR NEW.move_number <> 0
OR NOT NEW.event_type IS NULL
OR NOT NEW.event_status IS NULL)
EXECUTE FUNCTION app.refuse_move('task', 'task_id', 'queued');

CREATE OR REPLACE TRIGGER tasks_5_moved BEFORE UPDATE OF status
ON
app.tasks
FOR EACH ROW
WHEN (OLD.status <> NEW.status
AND (
  NOT CASE
    WHEN NEW.event_type = 'task_started'
    THEN (
      ROW(NEW.attempt, NEW.max_attempts, NEW.rescues) IS NOT DISTINCT FROM ROW(OLD.attempt, OLD.max_attempts, OLD.rescues)
      AND NEW.lease_number = OLD.lease_number + 1
      AND NEW.send_number = 0
    )
    WHEN NEW.event_type = ANY(
      CAST('{task_completed,task_failed,task_cancelled,task_released}' AS TEXT[])
    )
    THEN (
      ROW(
        NEW.lease_number,
        NEW.send_number,
        NEW.attempt,
        NEW.max_attempts,
        NEW.rescues,
        NEW.started_at
      ) IS NOT DISTINCT FROM ROW(
        OLD.lease_number,
        OLD.send_number,
        OLD.attempt,
        OLD.max_attempts,
        OLD.rescues,
        OLD.started_at
      )
    )
    WHEN NEW.event_type = 'task_retry_scheduled'
    THEN (
      ROW(NEW.lease_number, NEW.send_number, NEW.max_attempts, NEW.rescues, NEW.started_at) IS NOT DISTINCT FROM ROW(OLD.lease_number, OLD.send_number, OLD.max_attempts, OLD.rescues, OLD.started_at)
      AND NEW.attempt = OLD.attempt + 1
    )
    WHEN NEW.event_type = 'task_rescued'
    THEN (
      ROW(NEW.lease_number, NEW.send_number, NEW.attempt, NEW.max_attempts, NEW.started_at) IS NOT DISTINCT FROM ROW(OLD.lease_number, OLD.send_number, OLD.attempt, OLD.max_attempts, OLD.started_at)
      AND NEW.rescues = OLD.rescues + 1
    )
    WHEN NEW.event_type = 'task_resumed'
    THEN (
      ROW(NEW.lease_number, NEW.send_number, NEW.started_at) IS NOT DISTINCT FROM ROW(OLD.lease_number, OLD.send_number, OLD.started_at)
      AND NEW.attempt = OLD.attempt + 1
      AND NEW.rescues = 0
    )
  END IS TRUE
))
EXECUTE FUNCTION app.refuse_change('task', 'task_id');

CREATE OR REPLACE TRIGGER tasks_6_ended BEFORE UPDATE
ON
app.tasks
FOR EACH ROW
WHEN (OLD.status = NEW.status
AND OLD.status = ANY(
  CAST('{completed,failed,cancelled}' AS TEXT[])
))
EXECUTE FUNCTION app.refuse_change('task', 'task_id');

CREATE OR REPLACE TRIGGER tasks_7_changed BEFORE UPDATE
ON
app.tasks
FOR EACH ROW
WHEN (OLD.status = NEW.status)
EXECUTE FUNCTION app.refuse_undeclared_task();

CREATE OR REPLACE TRIGGER callbacks_0_key BEFORE UPDATE OF callback_id
ON
app.callbacks
FOR EACH ROW
WHEN (OLD.callback_id <> NEW.callback_id)
EXECUTE FUNCTION app.refuse_key('callback', 'callback_id');

CREATE OR REPLACE TRIGGER callbacks_2_guard BEFORE UPDATE OF status
ON
app.callbacks
FOR EACH ROW
WHEN (NEW.move_number <> OLD.move_number
AND (
  NOT (
    OLD.status || ' ' || NEW.status || ' ' || NEW.event_type || ' ' || NEW.event_status = ANY(
      CAST('{"processing completed callback_completed info","processing failed callback_failed failure","processing queued callback_released warning","processing queued callback_rescued warning","processing queued callback_retry_scheduled warning","queued processing callback_started info"}' AS TEXT[])
    )
  ) IS TRUE
  OR NEW.move_number <> OLD.move_number + 1
))
EXECUTE FUNCTION app.refuse_move('callback', 'callback_id');

CREATE OR REPLACE TRIGGER callbacks_2_stamp BEFORE UPDATE OF status
ON
app.callbacks
FOR EACH ROW
WHEN (NEW.move_number = OLD.move_number)
EXECUTE FUNCTION app.stamp_move(
  'processing completed callback_completed info',
  'processing failed callback_failed failure',
  'processing queued callback_released warning',
  'processing queued callback_rescued warning',
  'processing queued callback_retry_scheduled warning',
  'queued processing callback_started info'
);

CREATE OR REPLACE TRIGGER callbacks_2_unstamped BEFORE UPDATE OF status
ON
app.callbacks
FOR EACH ROW
WHEN (NEW.move_number = OLD.move_number)
EXECUTE FUNCTION app.refuse_move('callback', 'callback_id');

CREATE OR REPLACE TRIGGER callbacks_3_event BEFORE UPDATE
ON
app.callbacks
FOR EACH ROW
WHEN (OLD.status = NEW.status
AND (NEW.move_number, NEW.event_type, NEW.event_status, NEW.event_data) IS DISTINCT FROM (OLD.move_number, OLD.event_type, OLD.event_status, OLD.event_data))
EXECUTE FUNCTION app.refuse_event('callback', 'callback_id');

CREATE OR REPLACE TRIGGER callbacks_4_birth BEFORE INSERT
ON
app.callbacks
FOR EACH ROW
WHEN (NEW.status <> 'queued'
OR NEW.move_number <> 0
OR NOT NEW.event_type IS NULL
OR NOT NEW.event_status IS NULL)
EXECUTE FUNCTION app.refuse_move('callback', 'callback_id', 'queued');

CREATE OR REPLACE TRIGGER callbacks_5_moved BEFORE UPDATE OF status
ON
app.callbacks
FOR EACH ROW
WHEN (OLD.status <> NEW.status
AND (
  NOT CASE
    WHEN NEW.event_type = 'callback_started'
    THEN (
      ROW(NEW.attempt, NEW.max_attempts, NEW.rescues) IS NOT DISTINCT FROM ROW(OLD.attempt, OLD.max_attempts, OLD.rescues)
      AND NEW.lease_number = OLD.lease_number + 1
      AND NEW.send_number = 0
    )
    WHEN NEW.event_type = ANY(
      CAST('{callback_completed,callback_failed,callback_released}' AS TEXT[])
    )
    THEN (
      ROW(
        NEW.lease_number,
        NEW.send_number,
        NEW.attempt,
        NEW.max_attempts,
        NEW.rescues,
        NEW.started_at
      ) IS NOT DISTINCT FROM ROW(
        OLD.lease_number,
        OLD.send_number,
        OLD.attempt,
        OLD.max_attempts,
        OLD.rescues,
        OLD.started_at
      )
    )
    WHEN NEW.event_type = 'callback_retry_scheduled'
    THEN (
      ROW(NEW.lease_number, NEW.send_number, NEW.max_attempts, NEW.rescues, NEW.started_at) IS NOT DISTINCT FROM ROW(OLD.lease_number, OLD.send_number, OLD.max_attempts, OLD.rescues, OLD.started_at)
      AND NEW.attempt = OLD.attempt + 1
    )
    WHEN NEW.event_type = 'callback_rescued'
    THEN (
      ROW(NEW.lease_number, NEW.send_number, NEW.attempt, NEW.max_attempts, NEW.started_at) IS NOT DISTINCT FROM ROW(OLD.lease_number, OLD.send_number, OLD.attempt, OLD.max_attempts, OLD.started_at)
      AND NEW.rescues = OLD.rescues + 1
    )
  END IS TRUE
))
EXECUTE FUNCTION app.refuse_change('callback', 'callback_id');

CREATE OR REPLACE TRIGGER callbacks_6_ended BEFORE UPDATE
ON
app.callbacks
FOR EACH ROW
WHEN (OLD.status = NEW.status
AND OLD.status = ANY(
  CAST('{completed,failed}' AS TEXT[])
))
EXECUTE FUNCTION app.refuse_change('callback', 'callback_id');

CREATE OR REPLACE TRIGGER callbacks_7_changed BEFORE UPDATE
ON
app.callbacks
FOR EACH ROW
WHEN (OLD.status = NEW.status)
EXECUTE FUNCTION app.refuse_undeclared_callback();

CREATE OR REPLACE FUNCTION app.write_job_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $body$
DECLARE
  happened timestamptz := app.clock();
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO app.job_events (job_id, event_type, event_status, event_data, created_at)
    SELECT a.job_id, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a WHERE a.event_type IS NOT NULL;
  ELSE
    INSERT INTO app.job_events (job_id, event_type, event_status, event_data, created_at)
    SELECT a.job_id, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a JOIN before_move AS b USING (job_id)
    WHERE a.status <> b.status;
  END IF;
  RETURN NULL;
END $body$;

CREATE OR REPLACE FUNCTION app.write_stage_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $body$
DECLARE
  happened timestamptz := app.clock();
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO app.job_events (job_id, stage, event_type, event_status, event_data, created_at)
    SELECT a.job_id, a.stage, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a WHERE a.event_type IS NOT NULL;
  ELSE
    INSERT INTO app.job_events (job_id, stage, event_type, event_status, event_data, created_at)
    SELECT a.job_id, a.stage, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a JOIN before_move AS b USING (stage_id)
    WHERE a.status <> b.status;
  END IF;
  RETURN NULL;
END $body$;

CREATE OR REPLACE FUNCTION app.write_task_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $body$
DECLARE
  happened timestamptz := app.clock();
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO app.job_events (job_id, task_id, stage, lease_number, attempt, event_type, event_status, event_data, created_at)
    SELECT a.job_id, a.task_id, a.stage, a.lease_number, a.attempt, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a WHERE a.event_type IS NOT NULL;
  ELSE
    INSERT INTO app.job_events (job_id, task_id, stage, lease_number, attempt, event_type, event_status, event_data, created_at)
    SELECT a.job_id, a.task_id, a.stage, a.lease_number, b.attempt, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a JOIN before_move AS b USING (task_id)
    WHERE a.status <> b.status;
  END IF;
  RETURN NULL;
END $body$;

CREATE OR REPLACE FUNCTION app.write_callback_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $body$
DECLARE
  happened timestamptz := app.clock();
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO app.job_events (job_id, lease_number, attempt, event_type, event_status, event_data, created_at)
    SELECT a.job_id, a.lease_number, a.attempt, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a WHERE a.event_type IS NOT NULL;
  ELSE
    INSERT INTO app.job_events (job_id, lease_number, attempt, event_type, event_status, event_data, created_at)
    SELECT a.job_id, a.lease_number, b.attempt, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a JOIN before_move AS b USING (callback_id)
    WHERE a.status <> b.status;
  END IF;
  RETURN NULL;
END $body$;

REVOKE ALL ON FUNCTION app.write_job_events() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.write_stage_events() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.write_task_events() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.write_callback_events() FROM PUBLIC;

CREATE OR REPLACE FUNCTION app.count_stages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  change record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR change IN
      SELECT a.job_id, count(*) FILTER (WHERE a.status = ANY(CAST('{pending,processing}' AS TEXT[]))) AS stages_open, count(*) FILTER (WHERE a.status = 'completed') AS stages_completed, sum(a.tasks_total) AS tasks_total FROM after_move AS a GROUP BY a.job_id ORDER BY a.job_id
    LOOP
      UPDATE app.jobs AS p SET stages_open = p.stages_open + change.stages_open, stages_completed = p.stages_completed + change.stages_completed, tasks_total = p.tasks_total + change.tasks_total WHERE p.job_id = change.job_id;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'stage of job_id %: no row of jobs is its parent', change.job_id
          USING ERRCODE = 'CM008', DETAIL = format('The row is %s.', to_jsonb(change)),
          HINT = 'It needs a row.';
      END IF;
    END LOOP;
  ELSE
    FOR change IN
      SELECT d.* FROM (SELECT c.job_id, coalesce(sum(c.n) FILTER (WHERE c.status = ANY(CAST('{pending,processing}' AS TEXT[]))), 0) AS stages_open, coalesce(sum(c.n) FILTER (WHERE c.status = 'completed'), 0) AS stages_completed, sum(c.tasks_total) AS tasks_total FROM (SELECT b.job_id, b.status, -1 AS n, -b.tasks_total AS tasks_total FROM before_move AS b UNION ALL SELECT a.job_id, a.status, 1 AS n, a.tasks_total AS tasks_total FROM after_move AS a) AS c GROUP BY c.job_id) AS d WHERE d.stages_open <> 0 OR d.stages_completed <> 0 OR d.tasks_total <> 0 ORDER BY d.job_id
    LOOP
      UPDATE app.jobs AS p SET stages_open = p.stages_open + change.stages_open, stages_completed = p.stages_completed + change.stages_completed, tasks_total = p.tasks_total + change.tasks_total WHERE p.job_id = change.job_id;
    END LOOP;
  END IF;
  RETURN NULL;
END $body$;

CREATE OR REPLACE FUNCTION app.count_tasks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  change record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR change IN
      SELECT a.stage_id, a.job_id, a.stage, a.task_type, count(*) AS tasks_total, count(*) FILTER (WHERE a.status = ANY(CAST('{queued,processing}' AS TEXT[]))) AS tasks_open, count(*) FILTER (WHERE a.status = 'completed') AS tasks_completed, count(*) FILTER (WHERE a.status = 'failed') AS tasks_failed, count(*) FILTER (WHERE a.status = 'cancelled') AS tasks_cancelled FROM after_move AS a GROUP BY a.stage_id, a.job_id, a.stage, a.task_type ORDER BY a.stage_id
    LOOP
      UPDATE app.stages AS p SET tasks_total = p.tasks_total + change.tasks_total, tasks_open = p.tasks_open + change.tasks_open, tasks_completed = p.tasks_completed + change.tasks_completed, tasks_failed = p.tasks_failed + change.tasks_failed, tasks_cancelled = p.tasks_cancelled + change.tasks_cancelled WHERE p.stage_id = change.stage_id AND p.job_id = change.job_id AND p.stage = change.stage AND p.task_type = change.task_type;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'task of stage_id %: no row of stages is its parent', change.stage_id
          USING ERRCODE = 'CM008', DETAIL = format('The row is %s.', to_jsonb(change)),
          HINT = 'It needs a row, with the same job_id and stage and task_type.';
      END IF;
    END LOOP;
  ELSE
    FOR change IN
      SELECT d.* FROM (SELECT c.stage_id, sum(c.n) AS tasks_total, coalesce(sum(c.n) FILTER (WHERE c.status = ANY(CAST('{queued,processing}' AS TEXT[]))), 0) AS tasks_open, coalesce(sum(c.n) FILTER (WHERE c.status = 'completed'), 0) AS tasks_completed, coalesce(sum(c.n) FILTER (WHERE c.status = 'failed'), 0) AS tasks_failed, coalesce(sum(c.n) FILTER (WHERE c.status = 'cancelled'), 0) AS tasks_cancelled FROM (SELECT b.stage_id, b.status, -1 AS n FROM before_move AS b UNION ALL SELECT a.stage_id, a.status, 1 AS n FROM after_move AS a) AS c GROUP BY c.stage_id) AS d WHERE d.tasks_total <> 0 OR d.tasks_open <> 0 OR d.tasks_completed <> 0 OR d.tasks_failed <> 0 OR d.tasks_cancelled <> 0 ORDER BY d.stage_id
    LOOP
      UPDATE app.stages AS p SET tasks_total = p.tasks_total + change.tasks_total, tasks_open = p.tasks_open + change.tasks_open, tasks_completed = p.tasks_completed + change.tasks_completed, tasks_failed = p.tasks_failed + change.tasks_failed, tasks_cancelled = p.tasks_cancelled + change.tasks_cancelled WHERE p.stage_id = change.stage_id;
    END LOOP;
  END IF;
  RETURN NULL;
END $body$;

CREATE OR REPLACE FUNCTION app.count_callbacks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  change record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR change IN
      SELECT a.job_id, a.job_type FROM after_move AS a GROUP BY a.job_id, a.job_type ORDER BY a.job_id
    LOOP
      PERFORM FROM app.jobs AS p WHERE p.job_id = change.job_id AND p.job_type = change.job_type AND p.status = 'completed';
      IF NOT FOUND THEN
        RAISE EXCEPTION 'callback of job_id %: no row of jobs is its parent', change.job_id
          USING ERRCODE = 'CM008', DETAIL = format('The row is %s.', to_jsonb(change)),
          HINT = 'It needs a row that is completed, with the same job_type.';
      END IF;
    END LOOP;
  END IF;
  RETURN NULL;
END $body$;

REVOKE ALL ON FUNCTION app.count_stages() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.count_tasks() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.count_callbacks() FROM PUBLIC;

CREATE OR REPLACE TRIGGER stages_count_births AFTER INSERT
ON
app.stages
REFERENCING NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.count_stages();

CREATE OR REPLACE TRIGGER stages_count_changes AFTER UPDATE
ON
app.stages
REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.count_stages();

CREATE OR REPLACE TRIGGER tasks_count_births AFTER INSERT
ON
app.tasks
REFERENCING NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.count_tasks();

CREATE OR REPLACE TRIGGER tasks_count_changes AFTER UPDATE
ON
app.tasks
REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.count_tasks();

CREATE OR REPLACE TRIGGER callbacks_count_births AFTER INSERT
ON
app.callbacks
REFERENCING NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.count_callbacks();

CREATE OR REPLACE TRIGGER jobs_write_events AFTER UPDATE
ON
app.jobs
REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.write_job_events();

CREATE OR REPLACE TRIGGER jobs_write_births AFTER INSERT
ON
app.jobs
REFERENCING NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.write_job_events();

CREATE OR REPLACE TRIGGER stages_write_events AFTER UPDATE
ON
app.stages
REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.write_stage_events();

CREATE OR REPLACE TRIGGER tasks_write_events AFTER UPDATE
ON
app.tasks
REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.write_task_events();

CREATE OR REPLACE TRIGGER callbacks_write_events AFTER UPDATE
ON
app.callbacks
REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move
FOR EACH STATEMENT
EXECUTE FUNCTION app.write_callback_events();

CREATE OR REPLACE TRIGGER job_events_1_told BEFORE INSERT
ON
app.job_events
FOR EACH ROW
WHEN (PG_TRIGGER_DEPTH() = 0
AND NOT NEW.event_type = ANY(
  CAST('{job_queued,callback_executed,checkpoint,progress,finalizer_failed,stage_empty,stop_requested,stale_result_rejected,message_dead_lettered,gap_found}' AS TEXT[])
))
EXECUTE FUNCTION app.refuse_telling();

CREATE OR REPLACE TRIGGER job_events_2_kept BEFORE INSERT OR UPDATE OR DELETE
ON
app.job_events
FOR EACH STATEMENT
EXECUTE FUNCTION app.refuse_rewrite();

CREATE OR REPLACE TRIGGER job_events_3_kept BEFORE TRUNCATE
ON
app.job_events
FOR EACH STATEMENT
EXECUTE FUNCTION app.refuse_rewrite();

CREATE OR REPLACE VIEW app.waiting_rows AS
SELECT
  CAST('job' AS VARCHAR) AS queue,
  CAST(t.job_id AS VARCHAR) AS key,
  t.job_id,
  CAST('job' AS VARCHAR) AS subject,
  t.job_type AS type,
  t.lease_number,
  t.send_number,
  t.due_at
FROM app.jobs AS t
WHERE
  NOT t.due_at IS NULL
UNION ALL
SELECT
  CAST('task' AS VARCHAR) AS queue,
  CAST(t.task_id AS VARCHAR) AS key,
  t.job_id,
  CAST('task ' || t.task_id AS VARCHAR) AS subject,
  t.task_type AS type,
  t.lease_number,
  t.send_number,
  t.due_at
FROM app.tasks AS t
WHERE
  t.status IN ('queued')
UNION ALL
SELECT
  CAST('callback' AS VARCHAR) AS queue,
  CAST(t.callback_id AS VARCHAR) AS key,
  t.job_id,
  CAST('callback ' || t.name AS VARCHAR) AS subject,
  t.job_type AS type,
  t.lease_number,
  t.send_number,
  t.due_at
FROM app.callbacks AS t
WHERE
  t.status IN ('queued');

CREATE OR REPLACE VIEW app.leased_rows AS
SELECT
  CAST('job' AS VARCHAR) AS queue,
  CAST(t.job_id AS VARCHAR) AS key,
  t.job_id,
  CAST('job' AS VARCHAR) AS subject,
  t.job_type AS type,
  t.lease_number,
  t.lease_owner,
  t.lease_expires_at,
  CAST(NULL AS TIMESTAMPTZ) AS deadline_at
FROM app.jobs AS t
WHERE
  NOT t.lease_owner IS NULL
UNION ALL
SELECT
  CAST('task' AS VARCHAR) AS queue,
  CAST(t.task_id AS VARCHAR) AS key,
  t.job_id,
  CAST('task ' || t.task_id AS VARCHAR) AS subject,
  t.task_type AS type,
  t.lease_number,
  t.lease_owner,
  t.lease_expires_at,
  t.deadline_at AS deadline_at
FROM app.tasks AS t
WHERE
  t.status IN ('processing')
UNION ALL
SELECT
  CAST('callback' AS VARCHAR) AS queue,
  CAST(t.callback_id AS VARCHAR) AS key,
  t.job_id,
  CAST('callback ' || t.name AS VARCHAR) AS subject,
  t.job_type AS type,
  t.lease_number,
  t.lease_owner,
  t.lease_expires_at,
  CAST(NULL AS TIMESTAMPTZ) AS deadline_at
FROM app.callbacks AS t
WHERE
  t.status IN ('processing');

GRANT SELECT ON app.jobs, app.stages, app.tasks, app.callbacks, app.job_events TO coremachine_app;

REVOKE INSERT, UPDATE ON app.jobs FROM coremachine_app;

GRANT INSERT (job_id, job_type, parameters, submission_key, definition, stage_count, result, error, message_failures, deadline, deadline_at, lease_owner, lease_number, send_number, lease_expires_at, due_at, started_at, finished_at, status, created_at, move_number, event_type, event_status, event_data) ON app.jobs TO coremachine_app;

GRANT UPDATE (result, error, message_failures, deadline_at, lease_owner, lease_number, send_number, lease_expires_at, due_at, started_at, finished_at, status, move_number, event_type, event_status, event_data) ON app.jobs TO coremachine_app;

REVOKE INSERT, UPDATE ON app.stages FROM coremachine_app;

GRANT INSERT (job_id, stage, name, task_type, definition, stop_reason, stop_why, stopped_at, error, started_at, finished_at, status, created_at, move_number, event_type, event_status, event_data) ON app.stages TO coremachine_app;

GRANT UPDATE (stop_reason, stop_why, stopped_at, error, started_at, finished_at, status, move_number, event_type, event_status, event_data) ON app.stages TO coremachine_app;

REVOKE INSERT, UPDATE ON app.tasks FROM coremachine_app;

GRANT INSERT (task_id, job_id, stage_id, stage, task_index, task_number, task_type, item, result, error, lease_owner, lease_number, send_number, lease_expires_at, due_at, attempt, max_attempts, rescues, max_rescues, timeout, deadline_at, started_at, finished_at, status, created_at, move_number, event_type, event_status, event_data) ON app.tasks TO coremachine_app;

GRANT UPDATE (result, error, lease_owner, lease_number, send_number, lease_expires_at, due_at, attempt, max_attempts, rescues, deadline_at, started_at, finished_at, status, move_number, event_type, event_status, event_data) ON app.tasks TO coremachine_app;

REVOKE INSERT, UPDATE ON app.callbacks FROM coremachine_app;

GRANT INSERT (job_id, job_type, name, lease_owner, lease_number, send_number, lease_expires_at, due_at, attempt, max_attempts, rescues, max_rescues, timeout, deadline_at, started_at, finished_at, status, created_at, move_number, event_type, event_status, event_data) ON app.callbacks TO coremachine_app;

GRANT UPDATE (lease_owner, lease_number, send_number, lease_expires_at, due_at, attempt, max_attempts, rescues, deadline_at, started_at, finished_at, status, move_number, event_type, event_status, event_data) ON app.callbacks TO coremachine_app;

COMMENT ON TABLE app.jobs IS 'Runs its stages in order. Between stages it stays processing. States: queued, processing, completed, failed, cancelled.';

COMMENT ON COLUMN app.jobs.submission_key IS 'distinguishes runs of the same work';

COMMENT ON COLUMN app.jobs.definition IS 'the job''s shape, fixed when it was submitted';

COMMENT ON COLUMN app.jobs.stages_open IS 'stages that have not ended';

COMMENT ON COLUMN app.jobs.tasks_total IS 'tasks created so far, for their numbers';

COMMENT ON COLUMN app.jobs.message_failures IS 'consecutive failures to handle its message';

COMMENT ON COLUMN app.jobs.deadline IS 'how long the job may take, from submission or resume';

COMMENT ON COLUMN app.jobs.deadline_at IS 'when the job fails unless it has ended';

COMMENT ON COLUMN app.jobs.lease_owner IS 'the worker that holds the row';

COMMENT ON COLUMN app.jobs.lease_number IS 'rises with every claim, and fences';

COMMENT ON COLUMN app.jobs.send_number IS 'how often its message was sent since the last claim';

COMMENT ON COLUMN app.jobs.due_at IS 'when it may be claimed';

COMMENT ON COLUMN app.jobs.move_number IS 'how often this row has moved';

COMMENT ON COLUMN app.jobs.event_type IS 'the event of the last move';

COMMENT ON COLUMN app.job_events.transaction_id IS 'a follower must not pass an event while an older transaction is open';

COMMENT ON TABLE app.stages IS 'Fans out into tasks. Its last task closes it, in its own transaction. States: pending, processing, completed, failed, cancelled.';

COMMENT ON COLUMN app.stages.stage IS 'counted from 1';

COMMENT ON COLUMN app.stages.tasks_open IS 'tasks that have not ended';

COMMENT ON COLUMN app.stages.stop_reason IS 'why running tasks were asked to stop';

COMMENT ON COLUMN app.stages.stop_why IS 'the reason in words, for the events of its end';

COMMENT ON COLUMN app.stages.stopped_at IS 'when running tasks were asked to stop';

COMMENT ON COLUMN app.stages.move_number IS 'how often this row has moved';

COMMENT ON COLUMN app.stages.event_type IS 'the event of the last move';

COMMENT ON COLUMN app.job_events.transaction_id IS 'a follower must not pass an event while an older transaction is open';

COMMENT ON TABLE app.tasks IS 'One call of a handler. An attempt counts towards retries; a lease number fences. States: queued, processing, completed, failed, cancelled.';

COMMENT ON COLUMN app.tasks.task_index IS 'the order of its result';

COMMENT ON COLUMN app.tasks.task_number IS 'counts the job''s tasks';

COMMENT ON COLUMN app.tasks.item IS 'this task''s item of the fan-out';

COMMENT ON COLUMN app.tasks.lease_owner IS 'the worker that holds the row';

COMMENT ON COLUMN app.tasks.lease_number IS 'rises with every claim, and fences';

COMMENT ON COLUMN app.tasks.send_number IS 'how often its message was sent since the last claim';

COMMENT ON COLUMN app.tasks.due_at IS 'when it may be claimed';

COMMENT ON COLUMN app.tasks.attempt IS 'counts towards retries';

COMMENT ON COLUMN app.tasks.rescues IS 'leases that expired';

COMMENT ON COLUMN app.tasks.deadline_at IS 'when the current attempt must have ended';

COMMENT ON COLUMN app.tasks.move_number IS 'how often this row has moved';

COMMENT ON COLUMN app.tasks.event_type IS 'the event of the last move';

COMMENT ON COLUMN app.job_events.transaction_id IS 'a follower must not pass an event while an older transaction is open';

COMMENT ON TABLE app.callbacks IS 'What runs after a job has completed. Its failure never changes the job. States: queued, processing, completed, failed.';

COMMENT ON COLUMN app.callbacks.lease_owner IS 'the worker that holds the row';

COMMENT ON COLUMN app.callbacks.lease_number IS 'rises with every claim, and fences';

COMMENT ON COLUMN app.callbacks.send_number IS 'how often its message was sent since the last claim';

COMMENT ON COLUMN app.callbacks.due_at IS 'when it may be claimed';

COMMENT ON COLUMN app.callbacks.attempt IS 'counts towards retries';

COMMENT ON COLUMN app.callbacks.rescues IS 'leases that expired';

COMMENT ON COLUMN app.callbacks.deadline_at IS 'when the current attempt must have ended';

COMMENT ON COLUMN app.callbacks.move_number IS 'how often this row has moved';

COMMENT ON COLUMN app.callbacks.event_type IS 'the event of the last move';

COMMENT ON COLUMN app.job_events.transaction_id IS 'a follower must not pass an event while an older transaction is open';

CREATE OR REPLACE FUNCTION app.write_notes(job_ids varchar[], task_ids varchar[], stages int[], attempts int[],
  lease_numbers int[], types varchar[], statuses varchar[], notes jsonb[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  odd text := (SELECT min(format('%s (%s)', n.type, n.status)) FROM unnest(types, statuses) AS n(type, status)
               WHERE (n.type || ' ' || n.status IN ('job_queued success', 'callback_executed success', 'callback_executed failure', 'checkpoint info', 'progress info', 'finalizer_failed warning', 'stage_empty warning', 'stop_requested warning', 'stale_result_rejected warning', 'message_dead_lettered warning', 'gap_found warning')) IS NOT TRUE);
BEGIN
  IF odd IS NOT NULL THEN
    RAISE EXCEPTION 'event % is not a note', odd USING ERRCODE = 'CM005',
      HINT = 'Move the row: its event is written with it.';
  END IF;
  INSERT INTO app.job_events (job_id, task_id, stage, attempt, lease_number, event_type, event_status, event_data,
    created_at)
  SELECT n.job_id, n.task_id, n.stage, n.attempt, n.lease_number, n.type, n.status, n.data, app.clock()
  FROM unnest(job_ids, task_ids, stages, attempts, lease_numbers, types, statuses, notes)
    AS n(job_id, task_id, stage, attempt, lease_number, type, status, data);
END $body$;

GRANT SELECT ON app.installed, app.legal_transitions TO coremachine_app;

GRANT SELECT ON app.waiting_rows, app.leased_rows TO coremachine_app;

REVOKE ALL ON app.workers FROM coremachine_app;

GRANT SELECT, INSERT (worker, started_at, seen_at, stopped_at, runs, failures, last_error, found, loops, bus, unsent_s, dead_letters), UPDATE (worker, started_at, seen_at, stopped_at, runs, failures, last_error, found, loops, bus, unsent_s, dead_letters) ON app.workers TO coremachine_app;

REVOKE ALL ON app.set_aside FROM coremachine_app;

GRANT SELECT, INSERT (step, item, job_id, since, times, until, error, worker), UPDATE (step, item, job_id, since, times, until, error, worker) ON app.set_aside TO coremachine_app;

REVOKE ALL ON app.dead_letters FROM coremachine_app;

GRANT SELECT, INSERT (queue, message_id, digest, reason, description) ON app.dead_letters TO coremachine_app;

REVOKE ALL ON FUNCTION app.write_notes(varchar[], varchar[], int[], int[], int[], varchar[], varchar[], jsonb[]) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION app.write_notes(varchar[], varchar[], int[], int[], int[], varchar[], varchar[], jsonb[]) TO coremachine_app;

CREATE OR REPLACE FUNCTION app.forget() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  DELETE FROM app.workers WHERE seen_at < app.clock() - interval '1 day';
  DELETE FROM app.dead_letters WHERE read_at < app.clock() - interval '7 days';
  DELETE FROM app.set_aside WHERE until < app.clock() - interval '1 day';
END $body$;

CREATE OR REPLACE FUNCTION app.retire_jobs(finished_before timestamptz, most int) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  retired varchar[];
BEGIN
  retired := ARRAY(
    SELECT j.job_id FROM app.jobs AS j
    WHERE j.finished_at < finished_before AND j.status IN ('completed', 'failed', 'cancelled')
      AND NOT EXISTS (SELECT FROM app.callbacks AS c
                      WHERE c.job_id = j.job_id AND c.status NOT IN ('completed', 'failed'))
    ORDER BY j.job_id LIMIT most FOR UPDATE SKIP LOCKED);
  PERFORM set_config('coremachine.retiring', 'on', true);
  DELETE FROM app.job_events WHERE job_id = ANY(retired);
  DELETE FROM app.callbacks WHERE job_id = ANY(retired);
  DELETE FROM app.tasks WHERE stage_id IN
    (SELECT s.stage_id FROM app.stages AS s WHERE s.job_id = ANY(retired));
  DELETE FROM app.stages WHERE job_id = ANY(retired);
  DELETE FROM app.jobs WHERE job_id = ANY(retired);
  PERFORM set_config('coremachine.retiring', '', true);
  RETURN cardinality(retired);
END $body$;

CREATE OR REPLACE FUNCTION app.repair_job(broken varchar) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  repaired int := 0;
  orphan record;
  counted record;
BEGIN
  PERFORM FROM app.jobs WHERE job_id = broken FOR NO KEY UPDATE;
  PERFORM FROM app.stages WHERE job_id = broken ORDER BY stage_id FOR NO KEY UPDATE;
  FOR orphan IN
    SELECT t.task_id, t.stage, to_jsonb(t) AS was FROM app.tasks AS t JOIN app.stages AS s USING (stage_id)
    WHERE s.job_id = broken AND t.status NOT IN ('completed', 'failed', 'cancelled') AND s.status NOT IN ('processing')
    ORDER BY t.task_id FOR UPDATE OF t
  LOOP
    PERFORM set_config('coremachine.retiring', 'on', true);
    DELETE FROM app.job_events WHERE task_id = orphan.task_id;
    PERFORM set_config('coremachine.retiring', '', true);
    DELETE FROM app.tasks WHERE task_id = orphan.task_id;
    PERFORM app.write_notes(ARRAY[broken], ARRAY[NULL]::varchar[], ARRAY[orphan.stage], ARRAY[NULL]::int[],
      ARRAY[NULL]::int[], ARRAY['gap_found']::varchar[], ARRAY['warning']::varchar[],
      ARRAY[jsonb_build_object('gap', 'an orphaned task was removed', 'row', orphan.was)]);
    repaired := repaired + 1;
  END LOOP;
  UPDATE app.jobs AS j SET stages_open = c.open, stages_completed = c.completed, tasks_total = c.tasks
  FROM (SELECT count(*) FILTER (WHERE s.status NOT IN ('completed', 'failed', 'cancelled')) AS open,
               count(*) FILTER (WHERE s.status IN ('completed')) AS completed,
               coalesce(sum(s.tasks_total), 0) AS tasks
        FROM app.stages AS s WHERE s.job_id = broken) AS c
  WHERE j.job_id = broken AND j.status NOT IN ('completed', 'failed', 'cancelled')
    AND (j.stages_open, j.stages_completed, j.tasks_total) <> (c.open, c.completed, c.tasks);
  repaired := repaired + FOUND::int;
  FOR counted IN
    SELECT s.stage_id, count(t.task_id) AS total, count(*) FILTER (WHERE t.status IN ('queued', 'processing')) AS tasks_open, count(*) FILTER (WHERE t.status IN ('completed')) AS tasks_completed, count(*) FILTER (WHERE t.status IN ('failed')) AS tasks_failed, count(*) FILTER (WHERE t.status IN ('cancelled')) AS tasks_cancelled
    FROM app.stages AS s LEFT JOIN app.tasks AS t USING (stage_id)
    WHERE s.job_id = (SELECT j.job_id FROM app.jobs AS j WHERE j.job_id = broken AND j.status NOT IN ('completed', 'failed', 'cancelled'))
      AND s.status NOT IN ('completed', 'failed', 'cancelled') GROUP BY s.stage_id ORDER BY s.stage_id
  LOOP
    UPDATE app.stages AS s SET tasks_total = counted.total, tasks_open = counted.tasks_open, tasks_completed = counted.tasks_completed, tasks_failed = counted.tasks_failed, tasks_cancelled = counted.tasks_cancelled
    WHERE s.stage_id = counted.stage_id AND (s.tasks_total, s.tasks_open, s.tasks_completed, s.tasks_failed, s.tasks_cancelled) <> (counted.total, counted.tasks_open, counted.tasks_completed, counted.tasks_failed, counted.tasks_cancelled);
    repaired := repaired + FOUND::int;
  END LOOP;
  RETURN repaired;
END $body$;

REVOKE ALL ON FUNCTION app.forget() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION app.forget() TO coremachine_app;

REVOKE ALL ON FUNCTION app.retire_jobs(timestamptz, int) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.repair_job(varchar) FROM PUBLIC;

INSERT INTO app.installed AS i (
  part,
  digest
)
VALUES
  (
    'coremachine',
    'e14a90b4dcaefcd301f293fb78664a4846370e7b90e9d5a50c5e8df97b173d52'
  ) ON CONFLICT(part) DO UPDATE SET digest = EXCLUDED.digest
WHERE
  i.digest <> EXCLUDED.digest;

