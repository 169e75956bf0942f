"""Privileges: workers use a role that owns nothing, so that they cannot bypass a rule of the schema.

The role may read everything, insert and move rows (the guards check how), and write notes through one function. It
may not write events or counters, nor delete anything: a function deletes what is out of date. Its privileges are on
single columns, so that it cannot lock a whole table either.
"""

from ..statemachine.lifecycles import NOTES
from ..statemachine.records import Schema
from ..statemachine.tables import JOB_EVENTS
from .events import LOGGED_WITHOUT_MOVE
from .text import listed

CREATE_ROLE = """\
DO $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') THEN
    CREATE ROLE {role} NOLOGIN;
    -- since PostgreSQL 16 who creates a role may grant it, but not take it
    IF NOT pg_catalog.pg_has_role('{role}', CASE
      WHEN pg_catalog.current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END) THEN
      GRANT {role} TO CURRENT_USER;
    END IF;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL; -- another installation on this server was first
END $body$"""

WRITE_NOTES = """\
CREATE OR REPLACE FUNCTION {schema}.write_notes(job_ids varchar[], task_ids varchar[], stages int[], attempts int[],
  lease_numbers int[], types varchar[], statuses varchar[], notes jsonb[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  odd text := (SELECT min(format('%s (%s)', n.type, n.status)) FROM unnest(types, statuses) AS n(type, status)
               WHERE (n.type || ' ' || n.status IN ({notes})) IS NOT TRUE);
BEGIN
  IF odd IS NOT NULL THEN
    RAISE EXCEPTION 'event % is not a note', odd USING ERRCODE = '{logged_without_move}',
      HINT = 'Move the row: its event is written with it.';
  END IF;
  INSERT INTO {schema}.{log} (job_id, task_id, stage, attempt, lease_number, event_type, event_status, event_data,
    created_at)
  SELECT n.job_id, n.task_id, n.stage, n.attempt, n.lease_number, n.type, n.status, n.data, {schema}.clock()
  FROM unnest(job_ids, task_ids, stages, attempts, lease_numbers, types, statuses, notes)
    AS n(job_id, task_id, stage, attempt, lease_number, type, status, data);
END $body$"""


def worker_role(schema: str) -> str:
    """The name of the role that workers of this schema use."""
    return f"coremachine_{schema}"


def create_role(schema: str) -> str:
    """The statement that creates the role if the server does not have it."""
    return CREATE_ROLE.format(role=worker_role(schema))


def grants(records: Schema, schema: str) -> list[str]:
    """The privileges of the role on these records: read them and their events, insert them, and move them.

    Of an existing row it may change only the columns that moves and declared changes set.
    """
    role = worker_role(schema)
    moved = ", ".join(f"{schema}.{record.table}" for record in records.records)
    logs = ", ".join(dict.fromkeys(f"{schema}.{record.log.table}" for record in records.records))
    return [
        f"GRANT SELECT ON {moved}, {logs} TO {role}",
        *(
            statement
            for record in records.records
            for statement in (
                f"REVOKE INSERT, UPDATE ON {schema}.{record.table} FROM {role}",
                f"GRANT INSERT ({', '.join(record.inserted)}) ON {schema}.{record.table} TO {role}",
                f"GRANT UPDATE ({', '.join(record.changing)}) ON {schema}.{record.table} TO {role}",
            )
        ),
    ]


def role_and_notes(schema: str) -> list[str]:
    """The function by which the role writes notes, and its privileges on the other tables."""
    role = worker_role(schema)
    notes = f"{schema}.write_notes(varchar[], varchar[], int[], int[], int[], varchar[], varchar[], jsonb[])"
    names = {"schema": schema, "log": JOB_EVENTS}
    kept = {
        "workers": "worker, started_at, seen_at, stopped_at, runs, failures, last_error, found, loops, bus, unsent_s,"
        " dead_letters",
        "set_aside": "step, item, job_id, since, times, until, error, worker",
    }
    return [
        WRITE_NOTES.format(
            **names,
            logged_without_move=LOGGED_WITHOUT_MOVE,
            notes=listed(tuple(f"{note.type} {note.status}" for note in NOTES)),
        ),
        f"GRANT SELECT ON {schema}.installed, {schema}.legal_transitions TO {role}",
        f"GRANT SELECT ON {schema}.waiting_rows, {schema}.leased_rows TO {role}",
        *(
            statement
            for table, columns in kept.items()
            for statement in (
                f"REVOKE ALL ON {schema}.{table} FROM {role}",
                f"GRANT SELECT, INSERT ({columns}), UPDATE ({columns}) ON {schema}.{table} TO {role}",
            )
        ),
        f"REVOKE ALL ON {schema}.dead_letters FROM {role}",
        f"GRANT SELECT, INSERT (queue, message_id, digest, reason, description) ON {schema}.dead_letters TO {role}",
        f"REVOKE ALL ON FUNCTION {notes} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {notes} TO {role}",
    ]
