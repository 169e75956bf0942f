"""What the tables themselves must refuse: values out of bounds, counters that do not add up, rows without their own."""

from collections.abc import Iterator, Mapping

from coremachine.sql_generator.tables import BIGGEST_NUMBER, LATEST_TIME, LONGEST_INTERVAL
from coremachine.statemachine.records import MOVE_COLUMNS, Column, Record
from coremachine.statemachine.tables import CALLBACKS, ENDED, JOBS, OPEN, STAGES, TASKS
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.probes import copy_of, fresh, restored, update

Changes = Mapping[str, str]
ATTEMPTS: tuple[tuple[Changes, bool], ...] = (
    ({"attempt": "0"}, True),
    ({"attempt": "1"}, False),
    ({"attempt": "max_attempts"}, False),
    ({"attempt": "max_attempts + 1"}, True),
    ({"rescues": "-1"}, True),
    ({"rescues": "max_rescues"}, False),
    ({"rescues": "max_rescues + 1"}, True),
)
COUNTED = ("open", "completed", "failed", "cancelled")
OTHERS = (*COUNTED[1:], COUNTED[0])
BOUNDS: Mapping[str, tuple[tuple[str, Changes, bool], ...]] = {
    "job": (
        ("queued", {"stage_count": "0", "stages_completed": "0"}, True),
        ("queued", {"stage_count": "1"}, False),
        ("queued", {"lease_owner": "'someone'"}, True),
        ("queued", {"lease_expires_at": "now()"}, True),
        *((state, {"deadline": "'1 hour'"}, True) for state in ("queued", "processing")),
        *((state, {"deadline": "'1 hour'", "deadline_at": "now()"}, False) for state in ("queued", "processing")),
        ("queued", {"deadline_at": "now()"}, False),
        *((state, {"deadline": "'1 hour'"}, False) for state in ENDED),
        *((state, {"stage_count": "2", "stages_open": "1"}, False) for state in OPEN),
        *((state, {"stage_count": "3", "stages_open": "1", "stages_completed": "1"}, True) for state in ENDED),
        ("queued", {"stages_open": "1"}, True),
        ("queued", {"stages_open": "2", "stages_completed": "0"}, True),
        ("queued", {"stages_completed": "2"}, True),
        ("completed", {"stage_count": "2"}, True),
        ("completed", {"stages_completed": "0"}, True),
        *((state, {"stages_completed": "0"}, False) for state in ("failed", "cancelled")),
    ),
    "stage": (
        ("processing", {"stage": "0"}, True),
        ("processing", {"stage": "1"}, False),
        *(("processing", {"tasks_total": "2", f"tasks_{one}": "2"}, False) for one in COUNTED),
        *(("processing", {"tasks_total": "0", f"tasks_{one}": "1"}, True) for one in COUNTED),
        ("processing", {"tasks_total": "1"}, True),
        *(
            ("processing", {f"tasks_{one}": "-1", f"tasks_{other}": "1"}, True)
            for one, other in zip(COUNTED, OTHERS, strict=True)
        ),
        *((state, {"tasks_total": "1", "tasks_open": "1"}, True) for state in ("pending", *ENDED)),
        *((state, {"tasks_total": "1", "tasks_failed": "1"}, False) for state in ("pending", "failed", "cancelled")),
        ("completed", {"tasks_total": "2", "tasks_completed": "2"}, False),
        ("completed", {"tasks_total": "2", "tasks_completed": "1", "tasks_failed": "1"}, True),
    ),
    "task": (
        ("queued", {"task_index": "-1"}, True),
        ("queued", {"task_number": "0"}, True),
        ("queued", {"task_index": "0", "task_number": "1"}, False),
        *(("queued", changes, refused) for changes, refused in ATTEMPTS),
    ),
    "callback": tuple(("queued", changes, refused) for changes, refused in ATTEMPTS),
}


def of_table(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """Every rule of a table that has nothing to do with moves."""
    for state, changes, refused in BOUNDS[record.machine]:
        sql = restored(update(record, fixture.key(record, state), changes))
        yield Probe(f"{record.machine} {state}: {changes}", sql, refused=refused)
    yield from _of_ranges(record, fixture)
    if any(column.name == "error" for column in record.columns):
        for wrong in ("'[]'", "'null'", "'1'"):
            sql = restored(update(record, fixture.key(record, "failed"), {"error": wrong}))
            yield Probe(f"{record.machine}: error {wrong}", sql, refused=True)
    key = fixture.key(record, record.lifecycle.initial.name)
    for column in (*record.columns, *MOVE_COLUMNS):
        if not column.nullable:
            absent = restored(update(record, key, {column.name: "NULL"}))
            yield Probe(f"{record.machine}: no {column.name}", absent, refused=True)
    yield from _of_keys(record, key)
    yield from _without_guards(record, key)


def _of_ranges(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """What nobody could count on from, compare or read is refused, in every column; what comes next to it is not."""
    outside: Mapping[str, tuple[str, ...]] = {
        "INT": ("-1", f"{BIGGEST_NUMBER + 1}"),
        "TIMESTAMPTZ": ("'-infinity'", "'infinity'", f"'{LATEST_TIME}'"),
        "INTERVAL": ("'-1 second'", f"interval '{LONGEST_INTERVAL}' + '1 second'"),
    }
    inside: Mapping[str, tuple[str, ...]] = {
        "INT": ("0", f"{BIGGEST_NUMBER}"),
        "TIMESTAMPTZ": ("'4713-01-01 BC'", f"timestamptz '{LATEST_TIME}' - interval '1 second'"),
        "INTERVAL": ("'0'", f"interval '{LONGEST_INTERVAL}'"),
    }
    bounded_otherwise = {column.name for column in record.columns if column.check or column.counted}
    bounded_otherwise |= {"attempt", "max_attempts", "rescues", "max_rescues", "move_number"}
    for column in (*record.columns, *MOVE_COLUMNS):
        key = fixture.key(record, _state_for(record, column))
        for value in outside.get(column.type, ()):
            changes = {column.name: value, **_beside(record, column, value)}
            sql = restored(update(record, key, changes))
            yield Probe(f"{record.machine}: {column.name} out of range, {value}", sql, refused=True)
        for value in inside.get(column.type, ()) if column.name not in bounded_otherwise else ():
            sql = restored(update(record, key, {column.name: value, **_beside(record, column, value)}))
            yield Probe(f"{record.machine}: {column.name} just in range, {value}", sql, "$changed = 1")


def _state_for(record: Record, column: Column) -> str:
    """A state in which a row may have a value in this column."""
    may = [{*tie.required, *tie.allowed} for tie in record.state_columns if tie.column == column.name]
    return next(state for state in record.lifecycle.by_name if not may or state in may[0])


def _beside(record: Record, column: Column, value: str) -> dict[str, str]:
    """What must be given with it, so that no other constraint is broken."""
    event_columns = {"event_type": "'job_queued'", "event_status": "'info'", "event_data": "'{}'"}
    if column.name == "move_number":
        return event_columns
    if record is JOBS and column.name == "lease_expires_at":
        return {"lease_owner": "'someone'"}
    if record is JOBS and column.name == "deadline":
        return {"deadline_at": "now()"}
    if record is JOBS and column.name == "stages_completed" and value != "-1":
        return {"stage_count": f"{BIGGEST_NUMBER}"}
    if record is STAGES and column.name == "tasks_total" and value != "-1":
        return {"tasks_completed": f"{BIGGEST_NUMBER}", "tasks_failed": f"{value} - {BIGGEST_NUMBER}"}
    return {}


def _without_guards(record: Record, key: str) -> Iterator[Probe]:
    """What the table refuses on its own, where no trigger fires, as while a backup is restored."""
    event_columns = {"move_number": "1", "event_type": "'job_queued'", "event_status": "'info'", "event_data": "'{}'"}
    yield Probe(f"{record.machine} restored", restored(update(record, key, event_columns)), "$changed = 1")
    bare = dict.fromkeys((tie.column for tie in record.state_columns), "NULL")
    wrong: list[Changes] = [{**bare, "status": "'nonsense'"}, {"status": "NULL"}, {"move_number": "NULL"}]
    wrong += [{**event_columns, column: "NULL"} for column in ("event_type", "event_status", "event_data")]
    for changes in wrong:
        yield Probe(f"{record.machine} restored with {changes}", restored(update(record, key, changes)), refused=True)


def _of_keys(record: Record, key: str) -> Iterator[Probe]:
    new = fresh(record)
    unknown = {STAGES: ("job_id", f"'{'d' * 64}'"), CALLBACKS: ("job_id", f"'{'d' * 64}'"), TASKS: ("stage_id", "-1")}
    if record in unknown:
        column, value = unknown[record]
        orphan = copy_of(record, key, new | {column: value})
        yield Probe(f"{record.machine} of nobody", orphan, refused=True, words=f"fk_{record.table}_{column}")
    yield from _of_parents(record, key)
    twice: Mapping[Record, tuple[Changes, ...]] = {
        JOBS: ({"job_id": "t.job_id"},),
        STAGES: ({**new, "stage": "t.stage"}, {**new, "name": "t.name"}),
        TASKS: ({**new, "task_id": "t.task_id"}, {**new, "task_index": "t.task_index"}),
        CALLBACKS: ({**new, "name": "t.name"},),
    }
    for changes in twice[record]:
        yield Probe(f"{record.machine} twice by {changes}", copy_of(record, key, changes), refused=True)
    if record.key.identity:
        again = copy_of(record, key, new).replace("(job_id", f"({record.key.name}, job_id", 1)
        again = again.replace(") SELECT ", f") OVERRIDING SYSTEM VALUE SELECT t.{record.key.name}, ", 1)
        yield Probe(f"{record.machine} twice by its key", again, refused=True)
    if record is JOBS:
        for wrong in ("'nonsense'", f"'{'E' * 64}'", f"'{'a' * 63}'"):
            yield Probe(f"job called {wrong}", copy_of(record, key, {"job_id": wrong}), refused=True)


def _of_parents(record: Record, key: str) -> Iterator[Probe]:
    """No row goes from under those that belong to it, whoever deletes it."""
    of = {STAGES: "jobs(job_id)", CALLBACKS: "jobs(job_id)", TASKS: "stages(stage_id)"}
    if record in of:
        table, column = of[record][:-1].split("(")
        row = f"(SELECT {column} FROM app.{record.table} WHERE {record.key.name}::text = '{key}')"  # noqa: S608
        bare = "SET LOCAL coremachine.retiring = 'on'; "
        for other in ("job_events", *(one.table for one in of if one is not record and of[one] == of[record])):
            bare += f"DELETE FROM app.{other} WHERE {column} = {row}; " if column == "job_id" else ""  # noqa: S608
        bare += f"DELETE FROM app.{table} WHERE {column} = {row}"  # noqa: S608 - test SQL
        name = f"{record.machine} left alone by its {table}"
        yield Probe(name, bare, refused=True, words=f"fk_{record.table}_{column}")
