"""A transaction's statements travel together: what any of them came to is known before the commit, and not sooner."""

from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
import pytest_asyncio

from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.session import Note, Session
from coremachine.statemachine.errors import LostRaceError
from coremachine.statemachine.lifecycles import CHECKPOINT, TASK
from coremachine.statemachine.machine import Move, machine_of
from coremachine.statemachine.tables import JOBS, TASKS
from tests.integration.rows import insert_row, row_of

NOTED = "SELECT count(*) AS number FROM app.job_events WHERE event_type = 'checkpoint'"
NO_JOB = "0" * 64
Work = Callable[[Session], Awaitable[None]]
Way = Callable[[Database, Work], Awaitable[None]]


async def noted(session: Session) -> int:
    (row,) = await session.statement(NOTED, {})
    return int(row["number"])


def checkpoint(job_id: str) -> list[Note]:
    return [Note(type=CHECKPOINT, job_id=job_id, data={"name": "here"})]


@pytest_asyncio.fixture(name="database")
async def database_fixture(url: str) -> AsyncIterator[Database]:
    """The pool of a worker."""
    database = Database(url)
    await database.open()
    yield database
    await database.close()


async def cancelling(session: Session) -> tuple[Move, str]:
    """A move of a task that is there, and its job."""
    task = await insert_row(session, TASKS)
    row = await row_of(session, TASKS, task.key)
    return machine_of(TASK).fire(task, "cancel", data={"reason": "test"}), row["job_id"]


async def transact(database: Database, work: Work) -> None:
    """Do this in a transaction."""
    async with database.transaction() as session:
        await work(session)


WAYS = [transact, Database.commit_once]


@pytest.mark.parametrize("way", WAYS)
async def test_a_move_that_had_to_win_and_did_not_ends_its_transaction(
    database: Database, session: Session, way: Way
) -> None:
    move, job_id = await cancelling(session)
    assert await session.apply(TASKS, [move]) == {move.key}
    before = await noted(session)
    reached: list[str] = []

    async def lose(mine: Session) -> None:
        await mine.must_apply(TASKS, move)
        await mine.note(checkpoint(job_id))
        reached.append("the end")

    with pytest.raises(LostRaceError, match=f"task.cancel lost the race for {move.key}"):
        await way(database, lose)
    assert reached == ["the end"]
    assert await noted(session) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("then", ["nothing", "a question"])
async def test_what_nobody_waited_for_fails_its_transaction_with_its_own_error(
    database: Database, session: Session, way: Way, then: str
) -> None:
    """The note is of a job that does not exist. What is sent after it must not be what is told."""
    move, job_id = await cancelling(session)
    before = await noted(session)

    async def fail(mine: Session) -> None:
        await mine.must_apply(TASKS, move)
        await mine.note(checkpoint(job_id))
        await mine.note(checkpoint(NO_JOB))
        await mine.note(checkpoint(job_id))
        if then == "a question":
            await mine.fetch("flow/load_job", {"job_id": job_id})

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await way(database, fail)
    assert await noted(session) == before
    assert (await row_of(session, TASKS, move.key))["status"] == "queued"


async def test_a_block_that_raises_leaves_nothing_and_a_connection_that_serves(
    database: Database, session: Session
) -> None:
    move, job_id = await cancelling(session)

    async def divide(mine: Session) -> None:
        await mine.must_apply(TASKS, move)
        await mine.note(checkpoint(job_id))
        raise ZeroDivisionError

    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            await transact(database, divide)
    assert (await row_of(session, TASKS, move.key))["status"] == "queued"
    async with database.transaction() as mine:
        await mine.must_apply(TASKS, move)
    assert (await row_of(session, TASKS, move.key))["status"] == "cancelled"


async def test_queries_that_travel_together_return_the_rows_of_each(database: Database, session: Session) -> None:
    _, job_id = await cancelling(session)
    async with database.session() as mine:
        (job,), stages = await mine.fetch_together(["flow/load_job", "flow/load_stages"], {"job_id": job_id})
    assert job["job_id"] == job_id
    assert [stage["job_id"] for stage in stages] == [job_id]


async def test_what_passes_over_whole_tables_may_scan_them_and_leaves_the_connection_as_it_was(url: str) -> None:
    database = Database(url, pool_size=1)
    await database.open()
    settings: list[str] = []
    for opened in (database.session, database.scanning, database.session):
        async with opened() as mine:
            (row,) = await mine.statement("SELECT current_setting('enable_seqscan') AS value", {})
            settings.append(row["value"])
    with pytest.raises(ZeroDivisionError):
        async with database.scanning():
            raise ZeroDivisionError
    async with database.session() as mine:
        (row,) = await mine.statement("SELECT current_setting('enable_seqscan') AS value", {})
        settings.append(row["value"])
    await database.close()
    assert settings == ["off", "on", "off", "off"]


async def test_a_transaction_that_writes_nothing_takes_no_number(database: Database) -> None:
    """A worker with nothing to do asks for more each second: its commits are not to wait for the disk."""
    nothing = Claim(record=JOBS, types=["no such job"], limit=4, owner="a worker", lease=60.0)
    numbers = [await next_number(database)]
    for _ in range(3):
        assert await database.commit_once(lambda mine: claim_due(mine, nothing)) == []
        numbers.append(await next_number(database))
    assert len(set(numbers)) == 1


async def next_number(database: Database) -> str:
    """The number that the next transaction to write anything is given."""
    async with database.session() as mine:
        (row,) = await mine.statement("SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS number", {})
    return str(row["number"])
