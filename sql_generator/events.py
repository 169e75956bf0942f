"""The event logs: their tables, and the triggers that write a row for every change of state.

A move writes the event that the machine's callback made to the moved row; the trigger copies it into the
log in the same statement. So no client can change a state without writing an event.
"""

from sqlglot import exp

from ..statemachine.errors import DefinitionError
from ..statemachine.lifecycles import NOTES
from ..statemachine.records import Column, Index, Record, Schema
from ..statemachine.tables import JOB_EVENTS
from .tables import column_definition, create_index
from .text import one_of, parse

STATUSES = ("success", "failure", "warning", "info")

REFUSE_LOG_INSERT = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_telling() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  RAISE EXCEPTION 'event % is of a move that did not happen', NEW.event_type
    USING ERRCODE = '{logged_without_move}', HINT = 'Move the row: its event is written with it.';
END $body$"""

REFUSE_REWRITE = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_rewrite() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF (TG_OP = 'INSERT' OR TG_OP = 'DELETE' AND current_setting('coremachine.retiring', true) = 'on')
    AND pg_has_role(current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'USAGE') THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    RAISE EXCEPTION '% may not write into %', current_user, TG_TABLE_NAME
      USING ERRCODE = '{logged_without_move}', HINT = 'Move the row: its event is written with it.';
  END IF;
  RAISE EXCEPTION '% of %: events are never changed', TG_OP, TG_TABLE_NAME
    USING ERRCODE = '{rewritten}', HINT = 'Delete whole finished jobs with {schema}.retire_jobs().';
END $body$"""

LOGGED_WITHOUT_MOVE = "CM005"
REWRITTEN = "CM006"

COMMON = (
    Column(name="event_type", type="VARCHAR(50)"),
    Column(name="event_status", type="VARCHAR(20)", nullable=True),
    Column(name="event_data", type="JSONB", default="'{}'"),
    Column(name="created_at", type="TIMESTAMPTZ", default="{schema}.clock()"),
    Column(
        name="transaction_id",
        type="XID8",
        default="PG_CURRENT_XACT_ID()",
        text="a follower must not pass an event while an older transaction is open",
    ),
)

READERS = (
    Index(name="idx_job_events_follow", columns=("job_id", "transaction_id", "event_id")),
    Index(
        name="idx_job_events_trouble", columns=("job_id", "event_id"), where="event_status IN ('failure', 'warning')"
    ),
    Index(name="idx_job_events_outline", columns=("job_id", "event_id"), where="task_id IS NULL"),
    Index(name="idx_job_events_task", columns=("task_id", "event_id"), where="task_id IS NOT NULL"),
)
"""For followers of a job, and for readers of failures, of a job's and its stages' events, or of one task's events.

The second and the third are small: a task that succeeds has no entry in them.
"""

WRITER = """\
CREATE OR REPLACE FUNCTION {schema}.write_{machine}_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $body$
DECLARE
  happened timestamptz := {schema}.clock();
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO {schema}.{log} ({columns}, event_type, event_status, event_data, created_at)
    SELECT {created}, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a WHERE a.event_type IS NOT NULL;
  ELSE
    INSERT INTO {schema}.{log} ({columns}, event_type, event_status, event_data, created_at)
    SELECT {moved}, a.event_type, a.event_status, a.event_data, happened
    FROM after_move AS a JOIN before_move AS b USING ({key})
    WHERE a.status <> b.status;
  END IF;
  RETURN NULL;
END $body$"""


def create_logs(schema_of: Schema, schema: str) -> list[exp.Expr]:
    """CREATE TABLE and indexes for each event log that the records name."""
    logs: dict[str, list[Record]] = {}
    for record in schema_of.records:
        logs.setdefault(record.log.table, []).append(record)
    return [statement for table, records in logs.items() for statement in _create_log(table, records, schema)]


def event_writer(record: Record, schema: str) -> str:
    """The function that copies the events of moved rows into the log.

    Nested loops are off because the plan is made for the first statement of a session, which moves one row: for the
    thousand rows of a later statement, a nested loop would compare a million.
    """
    log = record.log
    columns = (*log.copied_columns, *log.copied_before)
    return WRITER.format(
        schema=schema,
        machine=record.machine,
        log=log.table,
        columns=", ".join(columns),
        created=", ".join(f"a.{column}" for column in columns),
        moved=", ".join([*(f"a.{c}" for c in log.copied_columns), *(f"b.{c}" for c in log.copied_before)]),
        key=record.key.name,
    )


def event_writer_kept(record: Record, schema: str) -> str:
    """Revokes the writer from all other roles: on a table of theirs it would write events without moves."""
    return f"REVOKE ALL ON FUNCTION {schema}.write_{record.machine}_events() FROM PUBLIC"


def event_triggers(record: Record, schema: str) -> list[exp.Expr]:
    """The statement-level triggers that call the event writer."""
    table = f"{schema}.{record.table}"
    call = f"FOR EACH STATEMENT EXECUTE FUNCTION {schema}.write_{record.machine}_events()"
    moves = parse(
        f"CREATE OR REPLACE TRIGGER {record.table}_write_events AFTER UPDATE ON {table}"
        f" REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move {call}",
    )
    if record.lifecycle.created is None:
        return [moves]
    inserts = parse(
        f"CREATE OR REPLACE TRIGGER {record.table}_write_births AFTER INSERT ON {table}"
        f" REFERENCING NEW TABLE AS after_move {call}",
    )
    return [moves, inserts]


def _create_log(table: str, records: list[Record], schema: str) -> list[exp.Expr]:
    founding = table == JOB_EVENTS
    subject = "job_id" if founding else records[0].key.name
    carried = {
        c: record.column(c) for record in records for c in (*record.log.copied_columns, *record.log.copied_before)
    }
    columns = [
        Column(name="event_id", type="BIGINT", identity=True),
        *(Column(name=name, type=column.type, nullable=name != subject) for name, column in carried.items()),
        *COMMON,
    ]
    owner = next(record for record in records if record.key.name == subject)
    fk_name = "fk_job" if founding else f"fk_{table}_{subject}"
    constraints = [
        _part(f"CONSTRAINT {table}_pkey PRIMARY KEY (event_id)"),
        _part(
            f"CONSTRAINT {fk_name} FOREIGN KEY ({subject}) REFERENCES {schema}.{owner.table} ({owner.key.name})",
        ),
        _part(f"CONSTRAINT {table}_status CHECK ({one_of('event_status', STATUSES)})"),
        _part(f"CONSTRAINT {table}_type CHECK ({one_of('event_type', event_types(records))})"),
    ]
    create = exp.Create(
        this=exp.Schema(
            this=exp.to_table(f"{schema}.{table}"),
            expressions=[*(column_definition(column, schema) for column in columns), *constraints],
        ),
        kind="TABLE",
        exists=True,
    )
    short = "job" if founding else subject.removesuffix("_id")
    indexes = (
        Index(name=f"idx_{table}_{short}", columns=(subject, "event_id")),
        Index(name=f"idx_{table}_time", columns=("created_at",)),
        *(READERS if founding else ()),
    )
    return [create, *(create_index(index, table, schema) for index in indexes)]


def log_guard_functions(schema: str) -> list[str]:
    """The functions behind the guards of the logs."""
    codes = {"logged_without_move": LOGGED_WITHOUT_MOVE, "rewritten": REWRITTEN}
    return [template.format(schema=schema, **codes) for template in (REFUSE_LOG_INSERT, REFUSE_REWRITE)]


def event_types(records: list[Record]) -> tuple[str, ...]:
    """Every event type that a log may contain: those of its lifecycles and, in job_events, the notes."""
    types = {event_type for record in records for event_type in record.lifecycle.event_types}
    if any(record.log.table == JOB_EVENTS for record in records):
        types |= {note.type for note in NOTES}
    return tuple(sorted(types))


def log_guards(log: str, schema: str) -> list[exp.Expr]:
    """The triggers of a log: events are never changed, and an event of a transition needs the transition.

    Only the event writer inserts events of transitions: inside a trigger, as the owner. Outside a trigger the owner may
    insert notes; other roles may insert nothing.
    """
    notes = tuple(dict.fromkeys(note.type for note in NOTES)) if log == JOB_EVENTS else ("",)
    on = f"ON {schema}.{log}"
    refuse = f"EXECUTE FUNCTION {schema}.refuse_rewrite()"
    return [
        parse(
            f"CREATE OR REPLACE TRIGGER {log}_1_told BEFORE INSERT {on} FOR EACH ROW"
            f" WHEN (PG_TRIGGER_DEPTH() = 0 AND NOT {one_of('NEW.event_type', notes)})"
            f" EXECUTE FUNCTION {schema}.refuse_telling()",
        ),
        parse(
            f"CREATE OR REPLACE TRIGGER {log}_2_kept BEFORE INSERT OR UPDATE OR DELETE {on} FOR EACH STATEMENT {refuse}"
        ),
        parse(f"CREATE OR REPLACE TRIGGER {log}_3_kept BEFORE TRUNCATE {on} FOR EACH STATEMENT {refuse}"),
    ]


def _part(constraint: str) -> exp.Expr:
    found = parse(f"CREATE TABLE t (c INT, {constraint})").find(exp.Constraint)
    if found is None:
        raise DefinitionError(f"not a constraint: {constraint}")
    return found
