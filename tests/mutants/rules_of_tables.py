"""What the tables themselves must refuse: values out of bounds, counters that do not add up, rows without their own."""

from collections.abc import Iterator, Mapping

from coremachine.statemachine.records import MOVE_COLUMNS, Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, STAGES, TASKS
from tests.mutants.attempt import Probe
from tests.mutants.ground import Ground
from tests.mutants.probes import copy_of, fresh, update

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
BOUNDS: Mapping[str, tuple[tuple[str, Changes, bool], ...]] = {
    "job": (
        ("queued", {"stage_count": "0"}, True),
        ("queued", {"stage_count": "1"}, False),
        ("queued", {"lease_owner": "'someone'"}, True),
        ("queued", {"lease_expires_at": "now()"}, True),
    ),
    "stage": (
        ("processing", {"stage": "0"}, True),
        ("processing", {"stage": "1"}, False),
        ("processing", {"tasks_total": "2", "tasks_completed": "1", "tasks_failed": "1"}, False),
        ("processing", {"tasks_total": "2", "tasks_completed": "3"}, True),
        ("processing", {"tasks_total": "2", "tasks_completed": "1", "tasks_failed": "1", "tasks_cancelled": "1"}, True),
        *(
            ("processing", {"tasks_total": "2", f"tasks_{one}": "-1"}, True)
            for one in ("completed", "failed", "cancelled")
        ),
        *((state, {"tasks_total": "tasks_total + 1"}, True) for state in ("completed", "failed", "cancelled")),
        *((state, {"tasks_total": "tasks_total + 1"}, False) for state in ("pending", "processing")),
        *((state, {"tasks_total": "1", "tasks_failed": "1"}, False) for state in ("failed", "cancelled")),
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


def of_table(record: Record, ground: Ground) -> Iterator[Probe]:
    """Every rule of a table that has nothing to do with moves."""
    for state, changes, refused in BOUNDS[record.machine]:
        sql = update(record, ground.key(record, state), changes)
        yield Probe(f"{record.machine} {state}: {changes}", sql, refused=refused)
    key = ground.key(record, record.lifecycle.initial.name)
    for column in (*record.columns, *MOVE_COLUMNS):
        if not column.nullable:
            absent = update(record, key, {column.name: "NULL"})
            yield Probe(f"{record.machine}: no {column.name}", absent, refused=True)
    yield from _of_keys(record, key)
    yield from _without_guards(record, key)


def _without_guards(record: Record, key: str) -> Iterator[Probe]:
    """What the table refuses on its own, where no trigger fires, as while a backup is restored."""
    off = "SET LOCAL session_replication_role = replica; "
    told = {"move_number": "1", "event_type": "'job_queued'", "event_status": "'info'", "event_data": "'{}'"}
    yield Probe(f"{record.machine} restored", off + update(record, key, told), "$changed = 1")
    bare = dict.fromkeys((tie.column for tie in record.ties), "NULL")
    wrong: list[Changes] = [{**bare, "status": "'nonsense'"}, {"status": "NULL"}, {"move_number": "NULL"}]
    wrong += [{**told, column: "NULL"} for column in ("event_type", "event_status", "event_data")]
    for changes in wrong:
        yield Probe(f"{record.machine} restored with {changes}", off + update(record, key, changes), refused=True)


def _of_keys(record: Record, key: str) -> Iterator[Probe]:
    new = fresh(record)
    unknown = {STAGES: ("job_id", f"'{'d' * 64}'"), CALLBACKS: ("job_id", f"'{'d' * 64}'"), TASKS: ("stage_id", "-1")}
    if record in unknown:
        column, value = unknown[record]
        yield Probe(f"{record.machine} of nobody", copy_of(record, key, new | {column: value}), refused=True)
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
