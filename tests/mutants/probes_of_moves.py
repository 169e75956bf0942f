"""What a generated statement must do: move the rows in the expected state, with event and counters, and no others."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import psycopg

from coremachine.statemachine.records import Record, StateColumn
from coremachine.statemachine.tables import SCHEMA
from tests.integration.rows import GIVEN
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.of_moves import Statement
from tests.mutants.probes import restored, sample_of

UNSORTED = "".join(f"SET LOCAL enable_{way} = off; " for way in ("indexscan", "indexonlyscan", "bitmapscan"))
"""No index gives the rows in an order that only ORDER BY may promise."""
KEEPING = (
    *(f"CREATE TEMP TABLE before_{one.table} AS TABLE app.{one.table} WITH NO DATA" for one in SCHEMA.records),
    "CREATE TEMP TABLE answer (it jsonb)",
)
"""Tables where probes keep a row as it was, and what a statement answered. To make them for each takes longer."""
Claim = Callable[..., str]
"""The text of a claim: of the keys given, with the parameters given, and else with what wins."""
OTHER_LEASES = (-1, 1)
SPAN = 90
"""How long after the move what it limits must end, in seconds."""
ADDED = 7
"""What a move adds to a column that it adds to."""
SET_TO: Mapping[str, Mapping[str, int]] = {"resume": {"rescues": 0}}
"""What columns are set to: none is what it was."""
BEFORE: Mapping[str, tuple[Sequence[str], Mapping[str, int]]] = {
    "task": (("failed", "cancelled"), {"rescues": 2}),
}
"""What they were, and in which states."""
NOT_RESET = 4
"""What columns were that go back to their default."""


def literal(sql: str, parameters: Mapping[str, object]) -> str:
    """A statement with its parameters in it."""
    return str(psycopg.ClientCursor[object](_Nowhere.connection).mogrify(sql.encode(), parameters))


class _Nowhere:
    """The connection whose encoding literals are made in. Set by the evaluate."""

    connection: psycopg.Connection[tuple[int, str]]


def connect(connection: psycopg.Connection[tuple[int, str]]) -> None:
    """Make literals as this connection wants them."""
    _Nowhere.connection = connection


def of_statement(statement: Statement, fixture: FixtureRows) -> Iterator[Probe]:
    """Every probe of one statement."""
    if statement.kind == "move":
        yield from _of_move(statement, fixture)
    elif statement.kind == "sweep":
        yield from _of_sweep(statement, fixture)
    else:
        yield from _of_claim(statement, fixture)


def before(record: Record, key: str) -> str:
    """Remember a row as it was, with an event that no move leaves behind."""
    where = f"WHERE {record.key.name}::text = '{key}'"
    return (
        f"{_of_another_event(record, key)}INSERT INTO before_{record.table} SELECT * FROM app.{record.table} {where}; "  # noqa: S608
    )


def _of_another_event(record: Record, key: str) -> str:
    where = f"WHERE {record.key.name}::text = '{key}'"
    return _unguarded(f"UPDATE app.{record.table} SET event_status = 'another' {where}; ")  # noqa: S608 - test SQL


def unchanged(record: Record, key: str) -> str:
    """That the row is as it was."""
    row = f"SELECT to_jsonb(r) FROM app.{record.table} AS r WHERE r.{record.key.name}::text = '{key}'"  # noqa: S608
    return f"({row}) = (SELECT to_jsonb(b) FROM before_{record.table} AS b)"  # noqa: S608 - test SQL


def moved(statement: Statement, key: str, data: Mapping[str, object]) -> str:
    """That the row has moved: its state, number and event, its columns set, counted and added to."""
    record, transition = statement.record, statement.transition
    trigger, event = transition.trigger, transition.event
    conditions = [
        f"r.status = '{transition.target}'",
        "r.move_number = b.move_number + 1",
        f"e.event_type = '{event.type}' AND e.event_status = '{event.status}'",
        f"e.event_data = '{json.dumps(data)}'",
        *(f"r.{column} = b.{column} + 1" for column in record.counts.get(trigger, ())),
        *(f"r.{column} = b.{column} + {ADDED}" for column in record.adds.get(trigger, ())),
        *(f"r.{column} = {SET_TO[trigger][column]}" for column in record.sets.get(trigger, ())),
        *(f"r.{column} = {record.column(column).default}" for column in record.resets.get(trigger, ())),
        *(f"r.{column} IS NULL" for column in record.clears.get(trigger, ())),
        *_tied(statement),
    ]
    return (
        f"EXISTS (SELECT FROM app.{record.table} AS r JOIN before_{record.table} AS b USING ({record.key.name})"
        f" JOIN app.{record.log.table} AS e ON e.job_id = r.job_id AND e.transaction_id = pg_current_xact_id()"
        f" WHERE r.{record.key.name}::text = '{key}' AND {' AND '.join(conditions)})"
    )


def _tied(statement: Statement) -> Iterator[str]:
    target, sources = statement.transition.target, set(statement.transition.sources)
    cleared = statement.record.clears.get(statement.transition.trigger, ())
    for tie in (tie for tie in statement.record.state_columns if tie.column not in cleared):
        entered = target in tie.required and not sources <= set(tie.required)
        may = {*tie.required, *tie.allowed}
        if entered and tie.clock:
            yield f"r.{tie.column} > b.created_at AND r.{tie.column} IS DISTINCT FROM b.{tie.column}"
        elif entered and tie.after:
            seconds = {"delay": 50, "lease": 60}[tie.after]
            yield f"r.{tie.column} - app.clock() BETWEEN interval '{seconds - 10} s' AND interval '{seconds} s'"
        elif entered and tie.column == "lease_owner":
            yield "r.lease_owner = 'a worker'"
        elif tie.plus_interval and target in may and not sources <= may:
            yield f"r.{tie.column} - app.clock() BETWEEN interval '{SPAN - 10} s' AND interval '{SPAN} s'"
        elif target not in may:
            yield f"r.{tie.column} IS NULL"
        elif not entered:
            yield f"r.{tie.column} IS NOT DISTINCT FROM b.{tie.column}"


def _values(statement: Statement, key: str, fixture: FixtureRows) -> dict[str, object]:
    record = statement.record
    trigger = statement.transition.trigger
    counters: Mapping[str, int] = SET_TO[trigger] if record.sets.get(trigger) else {}
    given = {**GIVEN, "delay": 50.0, **_added(statement), **counters}
    return given if record.fencing_column is None else {**given, record.fencing_column: _lease(statement, key, fixture)}


def _lease(statement: Statement, key: str, fixture: FixtureRows) -> int | None:
    """The lease to name: that of the row, or none where the move may do without and the row is not leased."""
    states, record = statement.record.lifecycle.by_name, statement.record
    must = all(states[source].leased for source in statement.transition.sources)
    return fixture.leases[key] if must or states[fixture.state(record, key)].leased else None


def _parameters(
    statement: Statement, rows: Sequence[tuple[str, Mapping[str, object], Mapping[str, object]]]
) -> dict[str, object]:
    """The arrays of a move: for each row its key, values and event data."""
    event = statement.transition.event
    columns: dict[str, object] = {
        statement.record.key.name: [key for key, _, _ in rows],
        "event_type": [event.type for _ in rows],
        "event_status": [event.status for _ in rows],
        "event_data": [json.dumps(data) for _, _, data in rows],
    }
    names = {name for _, values, _ in rows for name in values}
    return columns | {name: [_plain(values[name]) for _, values, _ in rows] for name in names}


def _plain(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict) else value


def _prepared(statement: Statement) -> str:
    """What must be so before: whatever a row may hold it holds, and numbers are not what they will be."""
    record = statement.record
    sets = {
        tie.column: f"CASE WHEN {_stands_in((*tie.required, *tie.allowed))} THEN {_held(record, tie)} END"
        for tie in record.state_columns
        if tie.allowed
    }
    sets |= {tie.plus_interval: f"interval '{SPAN} s'" for tie in record.state_columns if tie.plus_interval}
    sets |= {name: str(NOT_RESET) for name in record.resets.get(statement.transition.trigger, ())}
    if record.sets.get(statement.transition.trigger):
        states, numbers = BEFORE[record.machine]
        here = _stands_in(states)
        sets |= {name: f"CASE WHEN {here} THEN {number} ELSE {name} END" for name, number in numbers.items()}
    changes = ", ".join(f"{name} = {value}" for name, value in sets.items())
    sql = f"UPDATE app.{record.table} SET {changes}; "  # noqa: S608 - test SQL
    return _unguarded(sql) if changes else ""


def _stands_in(states: Sequence[str]) -> str:
    return f"status IN ({', '.join(map(repr, states))})"


def _held(record: Record, tie: StateColumn) -> str:
    """A value that the move would not give: an old deadline, or any sample."""
    return (
        "app.clock() + interval '1 day'" if tie.plus_interval else f"COALESCE({tie.column}, {sample_of(record, tie)})"
    )


def _of_move(statement: Statement, fixture: FixtureRows) -> Iterator[Probe]:
    record, transition = statement.record, statement.transition
    for state in record.lifecycle.by_name:
        key, other = fixture.keys[record.machine, state][:2]
        values, leased = _values(statement, key, fixture), record.lifecycle.by_name[state].leased
        sql = literal(statement.sql, _parameters(statement, [(key, values, {"n": 1})]))
        name = f"{statement.name} in {state}"
        won = state in transition.sources
        holds = f"$changed = 1 AND {moved(statement, key, {'n': 1})}" if won else unchanged(record, key)
        yield Probe(
            name, _prepared(statement) + before(record, key) + sql, holds if won else f"$changed = 0 AND {holds}"
        )
        yield Probe(f"{name}, of another", _prepared(statement) + before(record, other) + sql, unchanged(record, other))
        if not won:
            continue
        both = [(one, _values(statement, one, fixture), {"n": n}) for n, one in enumerate((key, other))]
        each = literal(statement.sql, _parameters(statement, both))
        for n, one in enumerate((key, other)):
            holds = moved(statement, one, {"n": n})
            also = _of_another_event(record, other if one == key else key)
            yield Probe(
                f"{name}, each its own",
                _prepared(statement) + also + before(record, one) + each,
                f"$changed = 2 AND {holds}",
            )
        if record.fencing_column is not None and leased:
            yield from _fenced(statement, key, values, name)
        elif record.fencing_column is not None and values[record.fencing_column] is None and _may_be_fenced(statement):
            last = {**values, record.fencing_column: fixture.leases[key]}
            sql = literal(statement.sql, _parameters(statement, [(key, last, {})]))
            holds = f"$changed = 0 AND {unchanged(record, key)}"
            yield Probe(f"{name} under its last lease", before(record, key) + sql, holds)


def _may_be_fenced(statement: Statement) -> bool:
    states = statement.record.lifecycle.by_name
    return any(states[source].leased for source in statement.transition.sources)


def _fenced(statement: Statement, key: str, values: dict[str, object], name: str) -> Iterator[Probe]:
    """A move out of a leased state names the lease; only one that may also leave another state may leave it out."""
    record, sources = statement.record, statement.transition.sources
    optional = not all(record.lifecycle.by_name[source].leased for source in sources)
    number = values[record.fencing_column or ""]
    assert isinstance(number, int)
    for lease in (*(number + step for step in OTHER_LEASES), None):
        sql = literal(statement.sql, _parameters(statement, [(key, {**values, str(record.fencing_column): lease}, {})]))
        holds = "$changed = 1" if lease is None and optional else f"$changed = 0 AND {unchanged(record, key)}"
        yield Probe(f"{name} under lease {lease} of {number}", before(record, key) + sql, holds)


def many(statement: Statement, fixture: FixtureRows, keys: list[str], limit: int = 100) -> tuple[str, int]:
    """The statement for several rows, and how many rows it gives back then."""
    if statement.kind == "move":
        rows = [(key, _values(statement, key, fixture), {"n": 1}) for key in keys]
        return literal(statement.sql, _parameters(statement, rows)), len(keys)
    if statement.kind == "sweep":
        sql = statement.sql.replace("%(value)s", _parent(statement, keys[0]))
        return literal(sql, _event(statement)), 1
    kind = {"task": "add", "callback": "sums"}[statement.record.machine]
    given = {
        **_event(statement),
        "types": [kind],
        "limit": limit,
        "lease": 60.0,
        "without": [],
        **_named(keys, fixture),
    }
    return literal(statement.sql, given), limit if statement.kind == "claim" else len(keys)


def _named(keys: Sequence[str], fixture: FixtureRows) -> dict[str, object]:
    """Rows by their keys, each under the lease it had last."""
    return {"keys": list(keys), "lease_numbers": [fixture.leases[key] for key in keys]}


def _event(statement: Statement) -> dict[str, object]:
    event = statement.transition.event
    event_columns = {"event_type": event.type, "event_status": event.status, "event_data": '{"n": 1}'}
    return {
        **{name: _plain(value) for name, value in GIVEN.items()},
        "delay": 50.0,
        **_added(statement),
        **event_columns,
    }


def _added(statement: Statement) -> dict[str, int]:
    return dict.fromkeys(statement.record.adds.get(statement.transition.trigger, ()), ADDED)


def _parent(statement: Statement, key: str) -> str:
    """The value by which a sweep finds this row."""
    record = statement.record
    return f"(SELECT {statement.column} FROM app.{record.table} WHERE {record.key.name}::text = '{key}')"  # noqa: S608


def _of_sweep(statement: Statement, fixture: FixtureRows) -> Iterator[Probe]:
    record = statement.record
    for state in record.lifecycle.by_name:
        key, other = fixture.keys[record.machine, state][:2]
        sql = statement.sql.replace("%(value)s", _parent(statement, key))
        sql = literal(sql, _event(statement))
        name = f"{statement.name} in {state}"
        holds = moved(statement, key, {"n": 1}) if state == statement.source else unchanged(record, key)
        yield Probe(name, _prepared(statement) + before(record, key) + sql, holds)
        yield Probe(f"{name}, of another", _prepared(statement) + before(record, other) + sql, unchanged(record, other))


def _of_claim(statement: Statement, fixture: FixtureRows) -> Iterator[Probe]:
    record = statement.record
    assert record.queue is not None
    table, by, initial = f"app.{record.table}", record.queue.by, record.lifecycle.initial.name
    kind = {"task": "add", "callback": "sums"}[record.machine]
    keys = fixture.keys[record.machine, initial]
    given = {**_event(statement), "types": [kind], "limit": 100, "lease": 60.0, "without": []}

    def claim(keys: Sequence[str] = keys, **other: object) -> str:
        return literal(statement.sql, {**given, **_named(keys, fixture), **other})

    for state in record.lifecycle.by_name:
        key = fixture.keys[record.machine, state][0]
        sql = _prepared(statement) + before(record, key) + claim([key])
        holds = moved(statement, key, {"n": 1}) if state in statement.transition.sources else unchanged(record, key)
        yield Probe(f"{statement.name} in {state}", sql, holds)
    last = keys[-1]
    yield Probe(f"{statement.name}, of another kind", claim(types=["nonsense"]), "$changed = 0")
    some = _unguarded(f"UPDATE {table} SET {by} = 'another' WHERE {record.key.name}::text = '{last}'; ")  # noqa: S608
    yield Probe(f"{statement.name}, of that kind", some + before(record, last) + claim(), unchanged(record, last))
    if statement.kind == "claim":
        yield Probe(f"{statement.name}, two", claim(limit=2), "$changed = 2")
        left = before(record, last) + claim(without=[last])
        yield Probe(f"{statement.name}, one left out", left, f"$changed = 2 AND {unchanged(record, last)}")
        yield Probe(
            f"{statement.name}, two of two kinds", some + claim(limit=1, types=[kind, "another"]), "$changed = 1"
        )
        yield from _of_due(statement, keys, claim)
    else:
        yield from _of_named(statement, fixture, keys, claim)


def _of_due(statement: Statement, keys: Sequence[str], claim: Claim) -> Iterator[Probe]:
    """What is due is claimed, and what has been due for longest comes first."""
    record, first, last = statement.record, keys[0], keys[-1]
    early = _early(record, first)
    yield Probe(f"{statement.name}, due", early + claim(), "$changed = 1")
    yield Probe(f"{statement.name}, not due", early + before(record, last) + claim(), unchanged(record, last))
    for one in keys:
        soon = f"SET due_at = app.clock() - interval '1 hour' WHERE {record.key.name}::text = '{one}'; "
        prepared = f"{UNSORTED}{_prepared(statement)}{_unguarded(f'UPDATE app.{record.table} {soon}')}"
        sql = prepared + before(record, one) + claim(limit=1)
        yield Probe(f"{statement.name}, the first", sql, moved(statement, one, {"n": 1}))


def _of_named(statement: Statement, fixture: FixtureRows, keys: Sequence[str], claim: Claim) -> Iterator[Probe]:
    """What is named under its last lease is claimed, due or not; another row or another lease is not."""
    record, first, last = statement.record, keys[0], keys[-1]
    number = fixture.leases[last]
    wins = f"$changed = {len(keys)} AND {moved(statement, last, {'n': 1})}"
    early = _prepared(statement) + _early(record, first) + before(record, last)
    yield Probe(f"{statement.name}, not due", early + claim(), wins)
    yield Probe(f"{statement.name}, of another", before(record, last) + claim([first]), unchanged(record, last))
    for lease in (*(number + step for step in OTHER_LEASES), None):
        sql = before(record, last) + claim([last], lease_numbers=[lease])
        holds = f"$changed = 0 AND {unchanged(record, last)}"
        yield Probe(f"{statement.name} under lease {lease} of {number}", sql, holds)
    where = f"WHERE {record.key.name}::text = '{last}'"
    raised = _unguarded(f"UPDATE app.{record.table} SET lease_number = {number + 1} {where}; ")  # noqa: S608
    for leases, won in (([fixture.leases[first], number + 1], 2), ([number + 1, fixture.leases[first]], 0)):
        sql = raised + claim([first, last], lease_numbers=leases)
        yield Probe(f"{statement.name}, each under its own lease: {leases}", sql, f"$changed = {won}")


def _early(record: Record, but: str) -> str:
    """Only one row is due."""
    others = f"status = 'queued' AND {record.key.name}::text <> '{but}'"
    return _unguarded(f"UPDATE app.{record.table} SET due_at = app.clock() + interval '1 hour' WHERE {others}; ")  # noqa: S608


def _unguarded(sql: str) -> str:
    """A change that no guard looks at, and that the guards are back after."""
    return f"{restored(sql)}SET LOCAL session_replication_role = origin; "
