"""What a worker's login cannot forge: events of what did not happen, counters, and rows that have ended (F59)."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from coremachine import Job, Stage, task
from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.lifecycles import NOTES
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import SCHEMA
from tests.databases import OpenApp
from tests.integration.lost_worker import handle_messages
from tests.observing import counted_events, events_of
from tests.running import finished

Worker = psycopg.Connection[tuple[Any, ...]]
NOTE = (
    "SELECT app.write_notes(ARRAY[{job}]::varchar[], ARRAY[NULL]::varchar[], ARRAY[NULL]::int[], ARRAY[NULL]::int[],"
    " ARRAY[NULL]::int[], ARRAY[{type}]::varchar[], ARRAY[{status}]::varchar[], ARRAY['{{}}'::jsonb])"
)
BAIT = """
CREATE TEMP TABLE bait (job varchar, type varchar, status varchar);
CREATE FUNCTION pg_temp.forge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM app.write_notes(ARRAY[NEW.job], ARRAY[NULL]::varchar[], ARRAY[NULL]::int[], ARRAY[NULL]::int[],
                          ARRAY[NULL]::int[], ARRAY[NEW.type], ARRAY[NEW.status], ARRAY['{}'::jsonb]);
  RETURN NEW;
END $$;
CREATE TRIGGER forge BEFORE INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.forge();
"""
FORGED = (
    ("job_failed", "failure"),
    ("task_completed", "success"),
    ("job_queued", "failure"),
    ("checkpoint", "success"),
    ("gap_found", None),
    ("no_such_type", "info"),
)


@task
def give(value: int) -> int:
    return value


GIVE = Job("give", [Stage("give", give, each="values")])


@pytest.fixture
def worker(url: str) -> Iterator[Worker]:
    """A connection of a worker's login, as psql has it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET ROLE {worker_role('app')}".encode())
        yield connection


def named(one: object) -> str:
    return one.machine if isinstance(one, Record) else str(one)


@pytest.mark.parametrize(("event_type", "status"), FORGED)
async def test_f59_what_is_no_note_is_not_written_as_one(
    open_app: OpenApp, worker: Worker, event_type: str, status: str | None
) -> None:
    app = await open_app(GIVE)
    job = await finished(app, GIVE, values=[1])
    before = await counted_events(app, job["job_id"])
    told = NOTE.format(job="%s", type="%s", status="%s")
    with pytest.raises(psycopg.Error, match="is not a note"):
        worker.execute(told.encode(), (job["job_id"], event_type, status))
    worker.execute(BAIT.encode())
    with pytest.raises(psycopg.Error, match="is not a note"):
        worker.execute(b"INSERT INTO bait VALUES (%s, %s, %s)", (job["job_id"], event_type, status))
    assert await counted_events(app, job["job_id"]) == before


async def test_each_declared_note_is_written_at_any_depth(open_app: OpenApp, worker: Worker) -> None:
    app = await open_app(GIVE)
    job = await finished(app, GIVE, values=[1])
    worker.execute(BAIT.encode())
    for note in NOTES:
        worker.execute(b"INSERT INTO bait VALUES (%s, %s, %s)", (job["job_id"], note.type, note.status))
    written = [(event["event_type"], event["event_status"]) for event in await events_of(app, job["job_id"])]
    assert written[-len(NOTES) :] == [(note.type, note.status) for note in NOTES]


async def test_f59_a_failure_is_not_recorded_as_a_success(open_app: OpenApp, worker: Worker) -> None:
    app = await open_app(GIVE)
    job = await app.submit(GIVE, values=[1])
    with pytest.raises(psycopg.Error, match=r"cannot have event job_failed \(success\)"):
        worker.execute(
            b"UPDATE app.jobs SET status = 'failed', error = '{}', due_at = NULL, finished_at = now(),"
            b" move_number = move_number + 1, event_type = 'job_failed', event_status = 'success', event_data = '{}'"
        )
    worker.execute(b"UPDATE app.stages SET status = 'cancelled', finished_at = now()")
    worker.execute(b"UPDATE app.jobs SET status = 'failed', error = '{}', due_at = NULL, finished_at = now()")
    (event,) = await events_of(app, job.id, "job_failed")
    assert event["event_status"] == "failure"
    assert event["event_data"]["reason"] == "moved by a client that gave no event"


BENT = (
    ("jobs", "finished_at = now()"),
    ("jobs", "result = '1'"),
    ("jobs", "lease_number = 7"),
    ("jobs", "message_failures = NULL"),
    ("stages", "stop_why = NULL"),
    ("stages", "started_at = started_at"),
    ("tasks", "result = '2'"),
    ("tasks", "attempt = 1"),
    ("tasks", "rescues = 0"),
)


@pytest.mark.parametrize(("table", "change"), BENT)
async def test_a_row_that_has_ended_does_not_change_without_a_move(
    open_app: OpenApp, worker: Worker, table: str, change: str
) -> None:
    app = await open_app(GIVE)
    await finished(app, GIVE, values=[1, 2])
    with pytest.raises(psycopg.Error, match="no declared change allows this") as refused:
        worker.execute(f"UPDATE app.{table} SET {change}".encode())  # noqa: S608 - test SQL
    assert refused.value.sqlstate == "CM007"


COUNTERS = [(record, column.name) for record in SCHEMA.records for column in record.columns if column.counted]


@pytest.mark.parametrize(("record", "column"), COUNTERS, ids=named)
async def test_no_client_writes_a_counter(open_app: OpenApp, worker: Worker, record: Record, column: str) -> None:
    app = await open_app(GIVE)
    await app.submit(GIVE, values=[1])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute(f"UPDATE app.{record.table} SET {column} = {column} + 1".encode())  # noqa: S608 - test SQL
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute(f"INSERT INTO app.{record.table} ({column}) VALUES (1)".encode())  # noqa: S608 - test SQL


async def test_counters_are_not_counted_by_a_table_of_ones_own(worker: Worker) -> None:
    worker.execute(b"CREATE TEMP TABLE forged (LIKE app.tasks)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute(
            b"CREATE TRIGGER forge AFTER INSERT ON forged REFERENCING NEW TABLE AS after_move"
            b" FOR EACH STATEMENT EXECUTE FUNCTION app.count_tasks()"
        )


async def test_a_stage_is_not_closed_over_an_open_task_nor_a_job_ended_over_an_open_stage(
    open_app: OpenApp, worker: Worker
) -> None:
    app = await open_app(GIVE)
    await app.submit(GIVE, values=[1, 2])
    await handle_messages(app)
    with pytest.raises(psycopg.errors.CheckViolation, match="stages_closed_when_counted"):
        worker.execute(b"UPDATE app.stages SET status = 'completed', finished_at = now()")
    with pytest.raises(psycopg.errors.CheckViolation, match="jobs_ended_when_counted"):
        worker.execute(b"UPDATE app.jobs SET status = 'failed', error = '{}', finished_at = now(), due_at = NULL")


INSERT_STRAY = (
    "INSERT INTO app.tasks (task_id, stage_id, task_index, task_number, job_id, stage, task_type)"
    " SELECT 'stray', s.stage_id, 9, 9, {} FROM app.stages AS s WHERE s.status = 'processing'"
)
STRAYS = {
    "with another job's id": "job_id = (SELECT max(job_id) FROM app.jobs)",
    "in another stage": "stage = 2",
    "of another type": "task_type = 'another'",
}


@pytest.mark.parametrize("stray", STRAYS)
async def test_a_task_is_of_its_stage(open_app: OpenApp, worker: Worker, stray: str) -> None:
    app = await open_app(GIVE)
    await app.submit(GIVE, values=[1])
    await handle_messages(app)
    await app.submit(GIVE, values=[1], key="another")
    column, value = STRAYS[stray].split(" = ", 1)
    given = {"job_id": "s.job_id", "stage": "s.stage", "task_type": "s.task_type", column: value}
    if "job_id" in STRAYS[stray]:
        given["job_id"] = "(SELECT j.job_id FROM app.jobs AS j WHERE j.job_id <> s.job_id)"
    insert = INSERT_STRAY.format(", ".join(given.values()))
    with pytest.raises(psycopg.Error, match="no row of stages is its parent") as refused:
        worker.execute(insert.encode())
    assert refused.value.sqlstate == "CM008"
    worker.execute(insert.replace(given[column], f"s.{column}").encode())


async def test_a_stage_is_not_added_to_a_job_that_has_all_of_its_own(open_app: OpenApp, worker: Worker) -> None:
    app = await open_app(GIVE)
    job = await app.submit(GIVE, values=[1])
    stage = b"INSERT INTO app.stages (job_id, stage, name, task_type) VALUES (%s, 2, 'more', 'give')"
    with pytest.raises(psycopg.errors.CheckViolation, match="jobs_stages_counted"):
        worker.execute(stage, (job.id,))
    ended = await finished(app, GIVE, values=[2])
    with pytest.raises(psycopg.Error, match="no declared change allows this"):
        worker.execute(stage, (ended["job_id"],))


async def test_a_callback_is_not_owed_by_a_job_that_has_not_completed(open_app: OpenApp, worker: Worker) -> None:
    app = await open_app(GIVE)
    job = await app.submit(GIVE, values=[1])
    with pytest.raises(psycopg.Error, match="no row of jobs is its parent"):
        worker.execute(b"INSERT INTO app.callbacks (job_id, job_type, name) VALUES (%s, 'give', 'c')", (job.id,))


TABLES = ("jobs", "stages", "tasks", "callbacks", "workers", "dead_letters", "set_aside", "job_events", "installed")


@pytest.mark.parametrize("table", TABLES)
def test_a_workers_login_locks_no_table_and_deletes_nothing(worker: Worker, table: str) -> None:
    for mode in ("ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), worker.transaction():
            worker.execute(f"LOCK TABLE app.{table} IN {mode} MODE".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute(f"DELETE FROM app.{table}".encode())  # noqa: S608 - test SQL
