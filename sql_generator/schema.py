"""The whole schema in the order in which it must be created, as one idempotent script."""

from functools import cache
from hashlib import sha256

from sqlglot import exp

from ..statemachine.checks import check_name
from ..statemachine.errors import DefinitionError
from ..statemachine.records import MOVE_COLUMNS, Record, Schema
from ..statemachine.tables import JOB_EVENTS, JOBS, SCHEMA
from .counters import count_function, count_function_kept, count_triggers
from .events import (
    COMMON,
    create_logs,
    event_triggers,
    event_writer,
    event_writer_kept,
    log_guard_functions,
    log_guards,
)
from .guards import change_guard, guard_functions, guard_triggers, legal_rows, legal_table
from .queues import queue_views
from .roles import create_role, grants, role_and_notes, worker_role
from .schema_name import check_schema_name
from .tables import create_index, create_table
from .text import parse, quoted, render
from .upkeep import upkeep

CLOCK = """\
CREATE OR REPLACE FUNCTION {schema}.clock() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $body$ SELECT pg_catalog.clock_timestamp() $body$"""

INSTALLED = """\
CREATE TABLE IF NOT EXISTS {schema}.installed (
  part VARCHAR(40) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  CONSTRAINT installed_pkey PRIMARY KEY (part)
)"""

WORKERS = """\
CREATE TABLE IF NOT EXISTS {schema}.workers (
  worker VARCHAR(100) NOT NULL,
  started_at TIMESTAMPTZ NOT NULL DEFAULT {schema}.clock(),
  seen_at TIMESTAMPTZ NOT NULL,
  stopped_at TIMESTAMPTZ,
  runs BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  last_error JSONB,
  found JSONB NOT NULL,
  loops JSONB NOT NULL DEFAULT '{{}}',
  bus VARCHAR(20) NOT NULL DEFAULT 'postgres',
  unsent_s DOUBLE PRECISION,
  dead_letters BIGINT NOT NULL DEFAULT 0,
  CONSTRAINT workers_pkey PRIMARY KEY (worker),
  CONSTRAINT workers_objects CHECK (jsonb_typeof(found) = 'object' AND jsonb_typeof(loops) = 'object'),
  CONSTRAINT workers_in_range CHECK (LEAST(runs, failures, dead_letters) >= 0 AND unsent_s >= 0 AND unsent_s < 1e9
    AND LEAST(started_at, seen_at, stopped_at) > '-infinity'
    AND GREATEST(started_at, seen_at, stopped_at) < '9999-01-01 00:00:00+00')
)"""


DEAD_LETTERS = """\
CREATE TABLE IF NOT EXISTS {schema}.dead_letters (
  queue TEXT NOT NULL,
  message_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  reason TEXT NOT NULL,
  description TEXT NOT NULL,
  read_at TIMESTAMPTZ NOT NULL DEFAULT {schema}.clock(),
  CONSTRAINT dead_letters_pkey PRIMARY KEY (queue, message_id, digest)
)"""
"""Dead letters that belong to no job. The others are events of their job."""

SET_ASIDE = """\
CREATE TABLE IF NOT EXISTS {schema}.set_aside (
  step VARCHAR(40) NOT NULL,
  item VARCHAR(200) NOT NULL,
  job_id VARCHAR(64),
  since TIMESTAMPTZ NOT NULL,
  times INT NOT NULL,
  until TIMESTAMPTZ NOT NULL,
  error JSONB NOT NULL,
  worker VARCHAR(100) NOT NULL,
  CONSTRAINT set_aside_pkey PRIMARY KEY (step, item),
  CONSTRAINT set_aside_objects CHECK (jsonb_typeof(error) = 'object'),
  CONSTRAINT set_aside_in_range CHECK (times >= 1 AND LEAST(since, until) > '-infinity'
    AND GREATEST(since, until) < '9999-01-01 00:00:00+00')
)"""
"""Items that a step of a worker could not handle: since when, how many consecutive failures, and the next try."""

CORE = "coremachine"


def ddl(records: Schema = SCHEMA, schema: str = "app") -> list[str]:
    """Every statement that installs `records` into `schema`, in order, without a trailing semicolon.

    Applying them twice changes nothing the second time. Raises DefinitionError for a schema name that would need
    quoting, and for records without those of CoreMachine, which they need.
    """
    made: list[str] = []
    for part, statements in parts(records, schema).items():
        made += [*statements, _remember(part, _digest(statements), schema)]
    return made


def digests(records: Schema = SCHEMA, schema: str = "app") -> dict[str, str]:
    """The digests that an installed schema stores, so that this declaration can run on it: a SHA-256 for each part."""
    return {part: _digest(statements) for part, statements in parts(records, schema).items()}


def guard_names(records: Schema = SCHEMA) -> list[tuple[str, str]]:
    """Every trigger that enforces the rules of these records, or writes or protects their logs: its table and name."""
    made: list[tuple[str, exp.Expr]] = []
    for record in records.records:
        made += [(record.table, one) for one in (*guard_triggers(record, "app"), *event_triggers(record, "app"))]
        if record.parent is not None:
            made += [(record.table, one) for one in count_triggers(record, "app")]
    for log in dict.fromkeys(record.log.table for record in records.records):
        made += [(log, one) for one in log_guards(log, "app")]
    return [(table, one.name) for table, one in made]


def script(records: Schema = SCHEMA, schema: str = "app") -> str:
    """The statements of `ddl` as text for psql."""
    return "SET client_min_messages = warning;\n\n" + "".join(f"{statement};\n\n" for statement in ddl(records, schema))


@cache
def parts(records: Schema, schema: str) -> dict[str, list[str]]:
    """The statements by part: CoreMachine's own, then each application record, by the name of its lifecycle.

    The digest of each part is stored separately, so that an application need not declare another's records.
    """
    check_schema_name(schema)
    check_types(records)
    if not set(SCHEMA.records) <= set(records.records):
        raise DefinitionError("your records need those of CoreMachine: Schema((*SCHEMA.records, …))")
    own = [record for record in records.records if record not in SCHEMA.records]
    for record in own:
        if record.log.table == JOB_EVENTS:
            raise DefinitionError(f"{record.table}: its events need a separate log, not {JOB_EVENTS}")
    made = {CORE: [*_foundation(schema), *_tables(SCHEMA, schema), *role_and_notes(schema), *upkeep(SCHEMA, schema)]}
    made |= {record.machine: _tables(Schema((record,)), schema) for record in own}
    return {part: [one if isinstance(one, str) else render(one) for one in some] for part, some in made.items()}


def _foundation(schema: str) -> list[exp.Expr | str]:
    return [
        parse(f"CREATE SCHEMA IF NOT EXISTS {schema}"),
        create_role(schema),
        f"GRANT USAGE ON SCHEMA {schema} TO {worker_role(schema)}",
        CLOCK.format(schema=schema),
        parse(INSTALLED.format(schema=schema)),
        parse(WORKERS.format(schema=schema)),
        parse(DEAD_LETTERS.format(schema=schema)),
        parse(SET_ASIDE.format(schema=schema)),
        legal_table(schema),
        *guard_functions(schema),
        *log_guard_functions(schema),
    ]


def _tables(records: Schema, schema: str) -> list[exp.Expr | str]:
    logs = dict.fromkeys(record.log.table for record in records.records)
    counted = [record for record in records.records if record.parent is not None]
    return [
        *legal_rows(records, schema),
        *(create_table(record, schema) for record in records.records),
        *(create_index(index, record.table, schema) for record in records.records for index in record.indexes),
        *create_logs(records, schema),
        *(function for record in records.records for function in change_guard(record, schema)),
        *(trigger for record in records.records for trigger in guard_triggers(record, schema)),
        *(event_writer(record, schema) for record in records.records),
        *(event_writer_kept(record, schema) for record in records.records),
        *(count_function(record, schema) for record in counted),
        *(count_function_kept(record, schema) for record in counted),
        *(trigger for record in counted for trigger in count_triggers(record, schema)),
        *(trigger for record in records.records for trigger in event_triggers(record, schema)),
        *(guard for log in logs for guard in log_guards(log, schema)),
        *(queue_views(records.records, schema) if JOBS in records.records else ()),
        *grants(records, schema),
        *(comment for record in records.records for comment in _comments(record, schema)),
    ]


def _digest(statements: list[str]) -> str:
    return sha256("\n".join(statements).encode()).hexdigest()


def _remember(part: str, digest: str, schema: str) -> str:
    return render(
        parse(
            f"INSERT INTO {schema}.installed AS i (part, digest) VALUES ({quoted(part)}, {quoted(digest)})"
            " ON CONFLICT (part) DO UPDATE SET digest = EXCLUDED.digest WHERE i.digest <> EXCLUDED.digest",
        ),
    )


def check_types(records: Schema) -> None:
    """Raise DefinitionError if a record's column has a name that SQL would need quoted."""
    for record in records.records:
        for column in (record.key, *record.columns):
            check_name("column", column.name)


def _comments(record: Record, schema: str) -> list[exp.Expr]:
    table = f"{schema}.{record.table}"
    states = ", ".join(record.lifecycle.by_name)
    about = " ".join(part for part in (record.lifecycle.text, f"States: {states}.") if part)
    logged = [(f"{schema}.{record.log.table}", column) for column in COMMON if column.text]
    commented = [(table, column) for column in (*record.columns, *MOVE_COLUMNS) if column.text] + logged
    return [
        parse(f"COMMENT ON TABLE {table} IS {quoted(about)}"),
        *(parse(f"COMMENT ON COLUMN {where}.{column.name} IS {quoted(column.text)}") for where, column in commented),
    ]
