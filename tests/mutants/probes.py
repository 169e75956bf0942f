"""What every client must see of a record's table, from its declaration: what passes, and what is refused."""

from collections.abc import Iterator, Mapping
from itertools import product

from coremachine.sql_generator.moves import assignments
from coremachine.statemachine.lifecycle import Edge
from coremachine.statemachine.records import Record, StateColumn
from tests.integration.rows import moved_columns, stamped_edge, tied_columns
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows

SAMPLES: Mapping[str, str] = {
    "TIMESTAMPTZ": "now()",
    "JSON": "'[]'::json",
    "JSONB": "'{}'::jsonb",
    "VARCHAR(100)": "'someone'",
    "VARCHAR(20)": "'why'",
    "TEXT": "'why'",
    "INT": "1",
}
ON_A_ROW: Mapping[str, str] = {
    "move_number": "move_number + 1",
    "event_type": "'job_queued'",
    "event_status": "CASE event_status WHEN 'failure' THEN 'warning' ELSE 'failure' END",
    "event_data": """'{"forged": true}'""",
}


def sample_of(record: Record, tie: StateColumn) -> str:
    """Any value for a tied column."""
    return SAMPLES[record.column(tie.column).type]


def update(record: Record, key: str, changes: Mapping[str, str]) -> str:
    """An UPDATE of one row by a client that knows no machine."""
    sets = ", ".join(f"{column} = {value}" for column, value in changes.items())
    return f"UPDATE app.{record.table} SET {sets} WHERE {record.key.name}::text = '{key}'"  # noqa: S608 - test SQL


def restored(sql: str) -> str:
    """A statement where no trigger fires, as while a backup is restored: only the table itself can refuse."""
    return f"SET LOCAL session_replication_role = replica; {sql}"


def event_columns_of(edge: Edge) -> dict[str, str]:
    """The event columns as the machine would set them."""
    event = edge.transition.event
    event_columns = {
        "event_type": f"'{event.type}'",
        "event_status": f"'{event.status}'",
        "event_data": """'{"told": 1}'""",
    }
    return {"move_number": "move_number + 1", **event_columns}


def recorded_once(record: Record, key: str, what: str) -> str:
    """That this transaction wrote one event, about this row as it is, and that it fits `what`."""
    carried = [f"e.{c} IS NOT DISTINCT FROM r.{c}" for c in record.log.copied_columns]
    here = "e.transaction_id = pg_current_xact_id()"
    return (
        f"(SELECT count(*) FROM app.{record.log.table} AS e WHERE {here}) = 1 AND EXISTS (SELECT"  # noqa: S608
        f" FROM app.{record.log.table} AS e JOIN app.{record.table} AS r ON {' AND '.join(carried)}"
        f" WHERE {here} AND r.{record.key.name}::text = '{key}' AND {what})"
    )


def of_record(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """Every probe of a record's table."""
    yield from of_edges(record, fixture)
    yield from of_illegal_moves(record, fixture)
    yield from of_events_on_rows(record, fixture)
    yield from of_births(record, fixture)
    yield from of_ties(record, fixture)
    yield from of_outcomes(record, fixture)
    yield from of_ended_rows(record, fixture)


def of_edges(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """A legal move passes with the event of the machine or without any event, and in no other way."""
    for edge in record.lifecycle.edges:
        key, event = fixture.key(record, edge.source), edge.transition.event
        name = f"{record.machine}: {edge.source} → {edge.target} by {edge.transition.trigger}"
        moved = {"status": f"'{edge.target}'", **moved_columns(record, edge)}
        fits = (
            f"e.event_type = '{event.type}' AND e.event_status = '{event.status}' AND e.event_data = '{{\"told\": 1}}'"
        )
        yield Probe(name, update(record, key, moved | event_columns_of(edge)), recorded_once(record, key, fits))
        stamped = recorded_once(record, key, _stamped(record, edge))
        untold = {"status": f"'{edge.target}'", **moved_columns(record, stamped_edge(record, edge.source, edge.target))}
        yield Probe(f"{name}, not told", update(record, key, untold), stamped)
        pair = (edge.source, edge.target)
        fitting = {e.transition.event.type for e in record.lifecycle.edges if (e.source, e.target) == pair}
        for other in sorted(record.lifecycle.event_types - fitting):
            own = {e.transition.event.status for e in record.lifecycle.edges if e.transition.event.type == other}
            for known in sorted({event.status, *own}):
                told = {"event_type": f"'{other}'", "event_status": f"'{known}'"}
                wrong = update(record, key, moved | event_columns_of(edge) | told)
                about = f"{name} as {other}, a {known}"
                yield Probe(about, wrong, refused=True, words=f"cannot have event {other}")
        for status in sorted({"success", "failure", "warning", "info"} - {event.status}):
            event_columns = {**event_columns_of(edge), "event_status": f"'{status}'"}
            wrong = update(record, key, moved | event_columns)
            yield Probe(f"{name} as a {status}", wrong, refused=True, words="cannot have event")
        for step in ("+ 2", "- 1"):
            event_columns = {**event_columns_of(edge), "move_number": f"move_number {step}"}
            yield Probe(f"{name} as move {step}", update(record, key, moved | event_columns), refused=True)
        for column in ("event_type", "event_status", "event_data"):
            event_columns = {**event_columns_of(edge), column: "NULL"}
            words = "" if column == "event_data" else "cannot have event"
            yield Probe(
                f"{name} without {column}", update(record, key, moved | event_columns), refused=True, words=words
            )


def _of_end(record: Record, fixture: FixtureRows, tie: StateColumn, state: str) -> Iterator[Probe]:
    """The same as a row comes to its end: once it is there another rule keeps the column."""
    for edge in record.lifecycle.edges:
        if edge.target == state:
            key = fixture.key(record, edge.source)
            name = f"{record.machine}: {edge.transition.trigger} from {edge.source} with {tie.column}"
            kept = tie.column not in assignments(record, edge.transition, "given", "given")
            moved = {"status": f"'{state}'", **moved_columns(record, edge), **event_columns_of(edge)}
            given = update(record, key, moved | {tie.column: sample_of(record, tie)})
            yield Probe(f"{name} given", given, refused=kept or state not in (*tie.required, *tie.allowed))
            missing = update(record, key, moved | {tie.column: "NULL"})
            lost = kept and fixture.rows[record.machine, key][tie.column] is not None
            yield Probe(f"{name} missing", missing, refused=lost or state in tie.required)


def of_outcomes(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """What a row ended with is not overwritten while it stays where it is."""
    for tie in record.state_columns:
        if tie.column in record.kept:
            sql = update(record, fixture.key(record, tie.required[0]), {tie.column: sample_of(record, tie)})
            yield Probe(
                f"{record.machine}: another {tie.column}", sql, refused=True, words="no declared change allows this"
            )


def _stamped(record: Record, edge: Edge) -> str:
    pair = (edge.source, edge.target)
    events = [e.transition.event for e in record.lifecycle.edges if (e.source, e.target) == pair]
    event = min(events, key=lambda one: one.type)
    status = "failure" if event.status == "failure" else "warning"
    return (
        f"e.event_status = '{status}' AND e.event_data ->> 'reason' = 'moved by a client that gave no event'"
        f" AND e.event_data ->> 'source' = '{edge.source}' AND e.event_data ->> 'target' = '{edge.target}'"
        " AND e.event_data ->> 'user' = session_user"
        f" AND e.event_type = '{event.type}'"
    )


def of_illegal_moves(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """An illegal move is refused with any event, and the error lists the legal moves."""
    lifecycle = record.lifecycle
    for source, target in product(lifecycle.by_name, (*lifecycle.by_name, "nonsense")):
        if (source, target) in lifecycle.legal_pairs:
            continue
        key = fixture.key(record, source)
        moved = {"status": f"'{target}'", **(tied_columns(record, target) if target in lifecycle.by_name else {})}
        legal = sorted((e.target, e.transition.trigger) for e in lifecycle.edges if e.source == source)
        words = f"legal from {source}: {', '.join(f'{t} ({trigger})' for t, trigger in legal) or 'nothing'}"
        if source != target:
            name = f"{record.machine}: {source} → {target}"
            yield Probe(name, update(record, key, moved), refused=True, words=words)
        for edge in lifecycle.edges:
            name = f"{record.machine}: {source} → {target} as {edge.transition.event.type}"
            yield Probe(name, update(record, key, moved | event_columns_of(edge)), refused=True)


def of_events_on_rows(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """The event of a row's last move stays as it is, and so does its key; what is no move is no event."""
    for state in record.lifecycle.by_name:
        key = fixture.key(record, state)
        for column, value in ON_A_ROW.items():
            name = f"{record.machine} {state}: {column} without a move"
            yield Probe(name, update(record, key, {column: value}), refused=True)
    key = fixture.key(record, record.lifecycle.initial.name)
    other = "DEFAULT" if record.key.identity else f"'{'f' * 64}'"
    yield Probe(f"{record.machine}: another key", update(record, key, {record.key.name: other}), refused=True)
    if not record.key.identity:
        same = update(record, key, {record.key.name: record.key.name})
        yield Probe(f"{record.machine}: the same key", same, "$changed = 1")


def of_ended_rows(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """A row that has ended is not touched; another may be, and no event tells of it."""
    silent = f"NOT EXISTS (SELECT FROM app.{record.log.table} WHERE transaction_id = pg_current_xact_id())"
    for state in record.lifecycle.states:
        quiet = update(record, fixture.key(record, state.name), {"created_at": "created_at"})
        name = f"{record.machine} {state.name}: no move"
        if state.terminal:
            yield Probe(name, quiet, refused=True, words="no declared change allows this")
        else:
            yield Probe(name, quiet, f"$changed = 1 AND {silent}")
            for column in record.kept:
                here = update(record, fixture.key(record, state.name), {column: column})
                yield Probe(f"{name}, {column} as it is", here, "$changed = 1")


def copy_of(record: Record, key: str, changes: Mapping[str, str]) -> str:
    """An INSERT of a row like another one, but for some columns."""
    identity = {record.key.name} if record.key.identity else set[str]()
    names = [c.name for c in (record.key, *record.columns) if c.name not in identity and not c.counted]
    names += [n for n in ("status", "move_number", "event_type", "event_status", "event_data") if n not in names]
    values = ", ".join(changes.get(name, f"t.{name}") for name in names)
    return (
        f"INSERT INTO app.{record.table} ({', '.join(names)}) SELECT {values}"  # noqa: S608 - test SQL
        f" FROM app.{record.table} AS t WHERE t.{record.key.name}::text = '{key}'"
    )


def fresh(record: Record) -> dict[str, str]:
    """Columns that let a copy of a row stand beside it."""
    job = "'" + "e" * 64 + "'"
    given: dict[str, Mapping[str, str]] = {
        "job": {"job_id": job},
        "stage": {"stage": "77", "name": "'another'"},
        "task": {"task_id": "'another'", "task_index": "77"},
        "callback": {"name": "'another'"},
    }
    return dict(given[record.machine])


def of_births(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """A row is born in its initial state, with no move behind it and with the event of its birth, or with none."""
    initial, created = record.lifecycle.initial.name, record.lifecycle.created
    key, new = fixture.key(record, initial), fresh(record)
    holds = None if created is None else f"EXISTS (SELECT FROM app.{record.log.table} WHERE event_type ="
    if holds is not None and created is not None:
        holds += f" '{created.type}' AND transaction_id = pg_current_xact_id())"
    else:
        holds = f"NOT EXISTS (SELECT FROM app.{record.log.table} WHERE transaction_id = pg_current_xact_id())"
    yield Probe(f"{record.machine}: born", copy_of(record, key, new), f"$changed = 1 AND {holds}")
    for state in record.lifecycle.states:
        if not state.initial:
            wrong = {**new, **tied_columns(record, state.name), "status": f"'{state.name}'"}
            wrong = {c: v.replace(f"COALESCE({c}", f"COALESCE(t.{c}") for c, v in wrong.items()}
            yield Probe(f"{record.machine}: born {state.name}", copy_of(record, key, wrong), refused=True)
    whole = {"event_type": "'job_created'", "event_status": "'success'", "event_data": "'{}'"}
    moved = {**new, **whole, "move_number": "1"}
    if created is None:
        moved = {**new, "move_number": "1", **dict.fromkeys(whole, "NULL")}
        event_columns = event_columns_of(record.lifecycle.edges[0]) | {"move_number": "0"}
        yield Probe(f"{record.machine}: born with an event", copy_of(record, key, new | event_columns), refused=True)
        for column in ("event_type", "event_status"):
            half = {**new, **dict.fromkeys(whole, "NULL"), column: event_columns[column]}
            yield Probe(f"{record.machine}: born with {column}", copy_of(record, key, half), refused=True)
        moved |= {name: value for name, value in event_columns.items() if name != "move_number"}
        yield Probe(
            f"{record.machine}: born moved, silent", copy_of(record, key, {**new, "move_number": "1"}), refused=True
        )
    else:
        for name in whole:
            silent = copy_of(record, key, {**new, **whole, name: "NULL"})
            yield Probe(f"{record.machine}: born without {name}", silent, refused=True)
        for column, value in (("event_type", "'job_queued'"), ("event_status", "'info'")):
            other = copy_of(record, key, {**new, **whole, column: value})
            yield Probe(f"{record.machine}: born with another {column}", other, refused=True)
    yield Probe(f"{record.machine}: born with moves behind it", copy_of(record, key, moved), refused=True)


def of_ties(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """A tied column is neither missing nor superfluous in any state, whatever the guards let through."""
    for tie, state in product(record.state_columns, record.lifecycle.by_name):
        key = fixture.key(record, state)
        name = f"{record.machine} {state}: {tie.column}"
        both = {"lease_owner", "lease_expires_at"} if record.machine == "job" else set[str]()
        with_its_twin = sorted(both if tie.column in both else {tie.column})
        filled = {c: f"COALESCE({c}, {SAMPLES[record.column(c).type]})" for c in with_its_twin}
        cleared = dict.fromkeys(with_its_twin, "NULL")
        may = state in (*tie.required, *tie.allowed)
        yield Probe(f"{name} given", restored(update(record, key, filled)), refused=not may)
        yield Probe(f"{name} missing", restored(update(record, key, cleared)), refused=state in tie.required)
        if tie.column in record.kept:
            yield from _of_end(record, fixture, tie, state)
