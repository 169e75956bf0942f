"""Who may do what: workers use a role that owns nothing, so that no rule of the schema can be passed by.

The role may read everything, insert and move rows (the guards see to how), and say notes through one function. It
may not write events, nor delete anything but the heartbeat of a worker and what is kept of a dead letter of no job.
"""

from ..statemachine.records import Schema
from ..statemachine.tables import JOB_EVENTS
from .text import listed

CREATE_ROLE = """\
DO $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') THEN
    CREATE ROLE {role} NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL; -- another installation on this server was first
END $body$"""

WRITE_NOTES = """\
CREATE OR REPLACE FUNCTION {schema}.write_notes(job_ids varchar[], task_ids varchar[], stages int[], attempts int[],
  lease_numbers int[], types varchar[], statuses varchar[], notes jsonb[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  INSERT INTO {schema}.{log} (job_id, task_id, stage, attempt, lease_number, event_type, event_status, event_data,
    created_at)
  SELECT n.job_id, n.task_id, n.stage, n.attempt, n.lease_number, n.type, n.status, n.data, {schema}.clock()
  FROM unnest(job_ids, task_ids, stages, attempts, lease_numbers, types, statuses, notes)
    AS n(job_id, task_id, stage, attempt, lease_number, type, status, data);
END $body$"""

RETIRE_JOBS = """\
CREATE OR REPLACE FUNCTION {schema}.retire_jobs(finished_before timestamptz, most int) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  retired varchar[];
BEGIN
  retired := ARRAY(
    SELECT j.job_id FROM {schema}.jobs AS j
    WHERE j.finished_at < finished_before AND j.status IN ({ended})
      AND NOT EXISTS (SELECT FROM {schema}.callbacks AS c
                      WHERE c.job_id = j.job_id AND c.status NOT IN ({callback_ended}))
    ORDER BY j.job_id LIMIT most FOR UPDATE SKIP LOCKED);
  PERFORM set_config('coremachine.retiring', 'on', true);
  DELETE FROM {schema}.{log} WHERE job_id = ANY(retired);
  DELETE FROM {schema}.callbacks WHERE job_id = ANY(retired);
  DELETE FROM {schema}.tasks WHERE stage_id IN
    (SELECT s.stage_id FROM {schema}.stages AS s WHERE s.job_id = ANY(retired));
  DELETE FROM {schema}.stages WHERE job_id = ANY(retired);
  DELETE FROM {schema}.jobs WHERE job_id = ANY(retired);
  PERFORM set_config('coremachine.retiring', '', true);
  RETURN cardinality(retired);
END $body$"""


def worker_role(schema: str) -> str:
    """The name of the role that workers of this schema take on."""
    return f"coremachine_{schema}"


def create_role(schema: str) -> str:
    """The statement that makes the role where the server does not have it."""
    return CREATE_ROLE.format(role=worker_role(schema))


def grants(records: Schema, schema: str) -> list[str]:
    """What the role may do with these records: read them and their events, insert them, and move them.

    Of a row that is there it may change only what changes in the life of a row.
    """
    role = worker_role(schema)
    moved = ", ".join(f"{schema}.{record.table}" for record in records.records)
    logs = ", ".join(dict.fromkeys(f"{schema}.{record.log.table}" for record in records.records))
    return [
        f"GRANT SELECT ON {moved}, {logs} TO {role}",
        f"GRANT INSERT ON {moved} TO {role}",
        *(
            statement
            for record in records.records
            for statement in (
                f"REVOKE UPDATE ON {schema}.{record.table} FROM {role}",
                f"GRANT UPDATE ({', '.join(record.changing)}) ON {schema}.{record.table} TO {role}",
            )
        ),
    ]


def role_and_functions(records: Schema, schema: str) -> list[str]:
    """The functions that the role needs or must not have, and its privileges on what is no record."""
    role = worker_role(schema)
    notes = f"{schema}.write_notes(varchar[], varchar[], int[], int[], int[], varchar[], varchar[], jsonb[])"
    ended = {
        record.machine: listed(tuple(state.name for state in record.lifecycle.states if state.terminal))
        for record in records.records
    }
    names = {"schema": schema, "log": JOB_EVENTS}
    return [
        WRITE_NOTES.format(**names),
        RETIRE_JOBS.format(**names, ended=ended["job"], callback_ended=ended["callback"]),
        f"GRANT SELECT ON {schema}.installed, {schema}.legal_transitions TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.workers TO {role}",
        f"GRANT SELECT, INSERT, DELETE ON {schema}.dead_letters TO {role}",
        f"REVOKE ALL ON FUNCTION {notes} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {notes} TO {role}",
        f"REVOKE ALL ON FUNCTION {schema}.retire_jobs(timestamptz, int) FROM PUBLIC",
    ]
