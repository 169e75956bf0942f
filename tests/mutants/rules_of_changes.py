"""What every client must see of the declared changes: each passes as declared, and is refused with one column bent."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import sql

from coremachine.sql_generator.changes import columns_of
from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.changes import Change
from coremachine.statemachine.lifecycle import Edge
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, TASKS
from tests.integration.declared import DAY, WHEN, Values, allowed, exact_after, made, other_values, ways
from tests.integration.rows import moved_columns
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.probes import copy_of, event_columns_of, fresh, restored, update
from tests.mutants.rules_of_the_log import HOSTILE

GUARDED = "SET LOCAL session_replication_role = origin; "
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
LEASED = {"lease_owner": "me", "lease_expires_at": NOW + HOUR}
COUNTED: Values = {"lease_number": 5, "send_number": 4}
TRIED: Values = {**COUNTED, "attempt": 3, "max_attempts": 70, "rescues": 2, "max_rescues": 80}
BEFORE: Mapping[str, Mapping[str, tuple[Values, ...]]] = {
    "job": {
        "queued": (
            {**COUNTED, **LEASED, "message_failures": 2, "deadline": HOUR, "deadline_at": NOW + HOUR},
            {**COUNTED, "started_at": NOW - HOUR},
        ),
        "processing": (
            {**COUNTED, **LEASED, "due_at": NOW + HOUR, "message_failures": 2},
            {**COUNTED, **LEASED, "deadline": HOUR, "deadline_at": NOW + HOUR},
            {**COUNTED, "due_at": NOW, "message_failures": 2},
            {**COUNTED, **LEASED, "due_at": NOW, "lease_expires_at": NOW + 2 * DAY},
        ),
        **dict.fromkeys(("failed", "cancelled"), ({**COUNTED, "started_at": NOW - HOUR},)),
    },
    "stage": {
        "processing": ({"stop_reason": "cancel", "stop_why": "why", "stopped_at": NOW - HOUR},),
        "cancelled": ({"started_at": NOW - HOUR},),
    },
    "task": {
        "queued": ({**TRIED, "started_at": NOW - HOUR}, {"due_at": NOW + 2 * DAY}),
        "processing": (
            {**TRIED, "timeout": DAY / 2, "deadline_at": NOW + HOUR},
            {"lease_expires_at": NOW + 2 * DAY},
        ),
        **dict.fromkeys(("failed", "cancelled"), ({**TRIED, "started_at": NOW - HOUR},)),
    },
    "callback": {
        "queued": ({**TRIED, "started_at": NOW - HOUR}, {"due_at": NOW + 2 * DAY}),
        "processing": (
            {**TRIED, "timeout": DAY / 2, "deadline_at": NOW + HOUR},
            {"lease_expires_at": NOW + 2 * DAY},
        ),
    },
}
"""What rows hold beside what their way here has left in them, by machine and state."""


IN_A_HOSTILE_PLACE = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
REPAIRING = "SET LOCAL coremachine.repairing = 'on'; "
REFUSAL = "no declared change allows this"
QUIET = {"created_at": "created_at"}


class Prepared(NamedTuple):
    """A row, what is done to have it so, and what it holds then."""

    name: str
    key: str
    preparation: str
    row: Values


def rows_of(record: Record, fixture: FixtureRows, state: str) -> Iterator[Prepared]:
    """Rows in this state: as the moves left one, and with further columns set."""
    key = fixture.key(record, state)
    row = fixture.rows[record.machine, key]
    for at, more in enumerate(({}, *BEFORE[record.machine].get(state, ()))):
        prepared = restored(update(record, key, texts(more))) + f"; {GUARDED}" if more else ""
        yield Prepared(f"{record.machine} {state} {at}", key, prepared, {**row, **more})


def texts(values: Values) -> dict[str, str]:
    """Values as SQL texts by column."""
    return {column: sql.Literal(value).as_string(None) for column, value in values.items()}


def of_changes(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """Every probe of how a row changes, without a move and with one."""
    for state in record.lifecycle.states:
        for one in rows_of(record, fixture, state.name):
            if not state.terminal:
                yield Probe(f"{one.name}: nothing", one.preparation + update(record, one.key, QUIET), "$changed = 1")
                yield from _of_columns(record, one, _others(record, fixture))
                for change in record.all_changes:
                    yield from _of_change(record, change, one)
            for edge in record.lifecycle.edges:
                if edge.source == state.name:
                    yield from _of_move(record, edge, one)


def _others(record: Record, fixture: FixtureRows) -> Values:
    """Keys of other rows that a row could belong to."""
    apart = fixture.rows[record.machine, fixture.keys[record.machine, record.lifecycle.initial.name][1]]
    free = {"job_id": fixture.key(JOBS, "completed")} if record is CALLBACKS else {}
    return {column.name: apart[column.name] for column in record.columns if column.references} | free


def _of_columns(record: Record, one: Prepared, others: Values) -> Iterator[Probe]:
    """No column changes alone, unless that is declared; not even for the owner."""
    immutable = [column.name for column in record.columns if column.immutable]
    for column in (*columns_of(record), *immutable):
        for value in (others[column],) if column in others else other_values(record, column, one.row[column]):
            new = {**one.row, column: getattr(value, "obj", value)}
            if new[column] != one.row[column] and (column in immutable or not allowed(record, one.row, new)):
                sets = one.preparation + update(record, one.key, texts({column: value}))
                yield Probe(f"{one.name}: {column} alone", sets, refused=True)


def _of_change(record: Record, change: Change, one: Prepared) -> Iterator[Probe]:
    """A change passes in each way that is declared, in its states, and with one column bent it is refused."""
    applies = one.row["status"] in change.states and WHEN[change.when](one.row)
    for way in ways(change, one.row):
        if applies:
            yield Probe(f"{one.name}: {change.name}", _changed(record, one, way), "$changed = 1")
        elif not allowed(record, one.row, {**one.row, **way}):
            yield Probe(f"{one.name}: {change.name}, not now", _changed(record, one, way), refused=True)
    usual = made(change, one.row)
    for column, difference in change.columns.items() if applies else ():
        if "<=" in difference.rule and not allowed(record, one.row, {**one.row, **usual, column: NOW + 2 * DAY}):
            late = IN_A_HOSTILE_PLACE + _changed(record, one, {**usual, column: NOW + 2 * DAY})
            yield Probe(f"{one.name}: {change.name} with a late {column} in a hostile place", late, refused=True)
    for column in columns_of(record) if applies else ():
        first = (1,) if column in usual and isinstance(usual[column], int) else ()
        for value in (*other_values(record, column, usual.get(column, one.row[column])), *first):
            bent = {**usual, column: value}
            after = {**one.row, **bent, column: getattr(value, "obj", value)}
            if not allowed(record, one.row, after):
                yield Probe(f"{one.name}: {change.name} with {column}", _changed(record, one, bent), refused=True)


def _changed(record: Record, one: Prepared, values: Mapping[str, Any]) -> str:
    return one.preparation + update(record, one.key, texts(values))


def _of_move(record: Record, edge: Edge, one: Prepared) -> Iterator[Probe]:
    """A move passes with each column as it is declared, and with one bent it is refused."""
    name = f"{one.name}: {edge.transition.trigger} to {edge.target}"
    moved = {"status": f"'{edge.target}'", **moved_columns(record, edge), **event_columns_of(edge)}
    yield Probe(name, one.preparation + update(record, one.key, moved), "$changed = 1")
    for column, exact in exact_after(record, edge, one.row).items():
        for value in other_values(record, column, exact):
            if getattr(value, "obj", value) != exact:
                bent = one.preparation + update(record, one.key, {**moved, **texts({column: value})})
                yield Probe(f"{name} with {column}", bent, refused=True)


def of_repairing(fixture: FixtureRows) -> Iterator[Probe]:
    """An owner repairs rows if that is said; nobody else does, whoever owns the trigger that changes the row."""
    worker = worker_role("app")
    for state in JOBS.lifecycle.by_name:
        bend = update(JOBS, fixture.key(JOBS, state), {"lease_number": "77"})
        for name, setting in (("", REPAIRING), (" in a hostile place", IN_A_HOSTILE_PLACE + REPAIRING)):
            yield Probe(f"the owner repairs a {state} job{name}", setting + bend, "$changed = 1")
            yield Probe(
                f"a worker repairs a {state} job{name}", setting + bend, refused=True, words=REFUSAL, role=worker
            )
        unsaid = "SET LOCAL coremachine.repairing = 'off'; "
        words = f"{REFUSAL} of lease_number; the row stays {state}"
        yield Probe(f"the owner repairs a {state} job and does not say so", unsaid + bend, refused=True, words=words)
    stage = fixture.keys["stage", "completed"][0]
    into = {"stage_id": stage, "job_id": f"'{fixture.rows['stage', stage]['job_id']}'"}
    added = REPAIRING + copy_of(TASKS, fixture.key(TASKS, "queued"), {**fresh(TASKS), **into})
    yield Probe("a worker repairs by a trigger", added, refused=True, words=REFUSAL, role=worker)
