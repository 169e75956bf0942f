"""State ⇔ event, for every client: what a worker's role may do, and what not even the owner may."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.sql_generator.roles import worker_role
from tests.databases import OpenApp
from tests.observing import events_of, rows
from tests.running import finished

EVENT = "INSERT INTO app.job_events (job_id, event_type, event_status) VALUES (%s, %s, 'success')"


@task
def give(value: int) -> int:
    return value


GIVE = Job("give", [Stage("give", give)])


@pytest.fixture
def owner(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(url, autocommit=True, application_name="psql") as connection:
        yield connection


@pytest.fixture
def worker(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(url, autocommit=True, application_name="psql") as connection:
        connection.execute(f"SET ROLE {worker_role('app')}".encode())
        yield connection


async def test_the_connections_of_a_worker_have_taken_its_role(open_app: OpenApp) -> None:
    app = await open_app(GIVE)
    async with app.database.session() as session:
        cursor = await session.connection.execute("SELECT current_user AS who")
        assert await cursor.fetchone() == {"who": worker_role("app")}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE app.job_events SET event_type = 'checkpoint'",
        "DELETE FROM app.job_events",
        "TRUNCATE app.job_events",
        EVENT.replace("%s", "'x'", 1).replace("%s", "'job_completed'", 1),
        EVENT.replace("%s", "'x'", 1).replace("%s", "'checkpoint'", 1),
        "DELETE FROM app.jobs",
        "DELETE FROM app.tasks",
        "UPDATE app.legal_transitions SET target = 'queued'",
        "ALTER TABLE app.tasks DISABLE TRIGGER ALL",
        "DROP TRIGGER tasks_2_guard ON app.tasks",
        "SELECT app.retire_jobs(now(), 10)",
        "CREATE OR REPLACE FUNCTION app.clock() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now()'",
    ],
)
def test_a_worker_may_not(worker: psycopg.Connection[tuple[Any, ...]], statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute(statement.encode())


async def test_a_workers_role_that_moves_a_row_by_hand_leaves_an_event_with_its_name(
    open_app: OpenApp, worker: psycopg.Connection[tuple[Any, ...]]
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    worker.execute("UPDATE app.jobs SET status = 'cancelled', due_at = NULL, finished_at = now()")
    (event,) = await events_of(app, submitted.id, "job_cancelled")
    assert event["event_status"] == "warning"
    assert event["event_data"]["client"] == "psql"
    assert event["event_data"]["user"] == worker.info.user


@pytest.mark.parametrize("told", ["job_completed", "task_failed", "stage_started", "job_created"])
async def test_not_even_the_owner_tells_of_a_move_that_did_not_happen(
    open_app: OpenApp, owner: psycopg.Connection[tuple[Any, ...]], told: str
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    with pytest.raises(psycopg.Error, match=f"event {told} tells of a move that did not happen") as refused:
        owner.execute(EVENT.encode(), (submitted.id, told))
    assert refused.value.sqlstate == "CM005"
    owner.execute(EVENT.encode(), (submitted.id, "checkpoint"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE app.job_events SET event_status = 'info'",
        "DELETE FROM app.job_events",
        "TRUNCATE app.job_events",
    ],
)
async def test_not_even_the_owner_rewrites_what_has_happened(
    open_app: OpenApp, owner: psycopg.Connection[tuple[Any, ...]], statement: str
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    before = await events_of(app, submitted.id)
    with pytest.raises(psycopg.Error, match="what has happened is not rewritten") as refused:
        owner.execute(statement.encode())
    assert refused.value.sqlstate == "CM006"
    assert await events_of(app, submitted.id) == before


async def test_without_its_guards_the_log_could_be_rewritten(
    open_app: OpenApp, owner: psycopg.Connection[tuple[Any, ...]]
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    owner.execute("ALTER TABLE app.job_events DISABLE TRIGGER USER")
    owner.execute(EVENT.encode(), (submitted.id, "job_completed"))
    owner.execute("DELETE FROM app.job_events")
    assert await events_of(app, submitted.id) == []


async def test_f30_only_whole_finished_jobs_are_retired(
    open_app: OpenApp, owner: psycopg.Connection[tuple[Any, ...]]
) -> None:
    app = await open_app(GIVE)
    ended = await finished(app, GIVE, value=1)
    still_open = await app.submit(GIVE, value=2)
    assert owner.execute("SELECT app.retire_jobs(now() - interval '1 hour', 10)").fetchone() == (0,)
    assert owner.execute("SELECT app.retire_jobs(now() + interval '1 hour', 10)").fetchone() == (1,)
    assert [row["job_id"] for row in await rows(app, "SELECT job_id FROM app.jobs")] == [still_open.id]
    assert await leftovers(app, ended["job_id"]) == {"stages": 0, "tasks": 0, "job_events": 0}
    with pytest.raises(psycopg.Error, match="not rewritten"):
        owner.execute("DELETE FROM app.job_events")


async def leftovers(app: AsyncCoreMachine, job_id: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table in ("stages", "tasks", "job_events"):
        statement = f"SELECT count(*) AS n FROM app.{table} WHERE job_id = %s"  # noqa: S608 - the names stand above
        counts[table] = (await rows(app, statement, job_id))[0]["n"]
    return counts
