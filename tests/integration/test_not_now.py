"""What the database cannot take at the moment is written later: it never becomes a failure of the task (F51, I17)."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from threading import Event

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.port import Bus
from coremachine.runtime.executor import batch_completer
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.flow.record_outcomes import record_outcomes
from coremachine.runtime.store.session import Row, Session
from tests.databases import OpenApp
from tests.observing import counted_events, rows
from tests.running import working
from tests.waiting import until, until_event, until_status

CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name IN ('coremachine', 'coremachine leases')"""
LONG = 60.0
gate = Event()


@task
def pass_the_gate(number: int) -> int:
    """Ends when the test says so."""
    if not gate.wait(30):
        raise TimeoutError
    return number


PASS = Job("pass_the_gate", [Stage("pass", pass_the_gate, each="numbers")])


@pytest.fixture(autouse=True)
def shut() -> None:
    """At the beginning the gate is shut."""
    gate.clear()


@asynccontextmanager
async def database_with(app: AsyncCoreMachine, name: str, value: str) -> AsyncGenerator[None]:
    """Within the block every new session of the application has this setting; those that there are, are cut."""
    (database,) = await rows(app, "SELECT quote_ident(current_database()) AS name")
    await rows(app, f"ALTER DATABASE {database['name']} SET {name} = '{value}'")
    await rows(app, CUT)
    try:
        yield
    finally:
        async with await app.database.connection("owner") as owner:
            await owner.execute(b"SET default_transaction_read_only = off")
            await owner.execute(f"ALTER DATABASE {database['name']} RESET {name}".encode())


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows whenever a worker tries to write outcomes."""
    times: list[str] = []

    async def record(session: Session, bus: Bus, outcomes: Sequence[Outcome], worker: str) -> set[str]:
        times.append(worker)
        return await record_outcomes(session, bus, outcomes, worker)

    monkeypatch.setattr(batch_completer, "record_outcomes", record)
    return times


async def until_tried(tried: list[str], times: int) -> None:
    async def enough() -> bool:
        return len(tried) >= times

    await until(enough, f"{times} tries to write the outcomes", within=LONG)  # the last tries are five seconds apart


async def assert_only_completed(app: AsyncCoreMachine, job_id: str, tasks: int) -> None:
    counted = await counted_events(app, job_id)
    assert (counted["task_started"], counted["task_completed"]) == (tasks, tasks)
    assert {"task_failed", "task_retry", "task_rescued", "stale_result_rejected"}.isdisjoint(counted)


async def test_f51_an_outcome_waits_for_a_read_only_server(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture, tried: list[str]
) -> None:
    app = await open_app(PASS, lease=2 * LONG)
    with caplog.at_level(logging.WARNING):
        async with working(app):
            job = await app.submit(PASS, numbers=[1, 2, 3])
            await until_event(app, job.id, "task_started", number=3)
            async with database_with(app, "default_transaction_read_only", "on"):
                gate.set()
                await until_tried(tried, 8)
            ended = await until_status(app, job.id, "completed", "failed")
    assert ended["status"] == "completed"
    await assert_only_completed(app, job.id, 3)
    assert "could not be written" not in caplog.text


async def test_f51_an_outcome_waits_for_a_lock_that_lasts_longer_than_lock_timeout(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture, tried: list[str]
) -> None:
    app = await open_app(PASS, lease=2 * LONG)
    with caplog.at_level(logging.WARNING):
        job = await app.submit(PASS, numbers=[1, 2])
        async with database_with(app, "lock_timeout", "50ms"), working(app):
            await until_event(app, job.id, "task_started", number=2)
            async with await app.database.connection("holder") as holder, holder.transaction():
                await holder.execute("SELECT FROM app.jobs WHERE job_id = %s FOR UPDATE", [job.id])
                gate.set()
                await until_tried(tried, 8)
            ended = await until_status(app, job.id, "completed", "failed")
    assert ended["status"] == "completed"
    await assert_only_completed(app, job.id, 2)


async def test_f51_a_session_that_lost_its_prepared_statements_is_replaced(open_app: OpenApp) -> None:
    app = await open_app(PASS)

    async def prepared(session: Session) -> list[Row]:
        cursor = await session.connection.execute("SELECT 1 AS one", prepare=True)
        return await cursor.fetchall()

    for _ in range(8):
        await app.database.read(prepared)
    async with app.database.session() as session:
        await session.connection.execute(b"DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")
    assert await app.database.read(prepared) == [{"one": 1}]


async def test_f51_a_plan_that_an_upgrade_made_stale_is_replaced(open_app: OpenApp) -> None:
    app = await open_app(PASS)
    await rows(app, "CREATE TABLE app.grows (one INT); GRANT SELECT ON app.grows TO PUBLIC")

    async def prepared(session: Session) -> list[Row]:
        cursor = await session.connection.execute("SELECT * FROM app.grows", prepare=True)
        return await cursor.fetchall()

    await app.database.commit_once(prepared)
    await rows(app, "ALTER TABLE app.grows ADD COLUMN two INT DEFAULT 2; INSERT INTO app.grows VALUES (1)")
    assert await app.database.commit_once(prepared) == [{"one": 1, "two": 2}]
