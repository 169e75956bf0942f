"""A request that waits for a lock reports who holds it, and gives up in time with nothing changed."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from coremachine import Job, Stage, task
from coremachine.examples.approval import APPROVALS
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.errors import LockHolder, LockTimeoutError
from coremachine.runtime.store.database import Database
from coremachine.statemachine.records import Schema
from coremachine.statemachine.tables import SCHEMA
from tests.databases import Created, OpenApp, url_of
from tests.observing import counted_events, rows
from tests.waiting import until, until_row

SHORT = 1.5
PATIENT = (
    "flow.cancel",
    "flow.resume",
    "flow.submit",
    "app.async_app",
    "app.audit",
    "app.diagnosis_rows",
    "app.records",
    "store.database",
)
LOCK_JOBS = "LOCK TABLE app.jobs IN ACCESS EXCLUSIVE MODE"
LOCK_JOB = "SELECT 'the query of the holder' FROM app.jobs WHERE job_id = %s FOR UPDATE"
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
Request = Callable[[AsyncCoreMachine, str], Awaitable[object]]


@task
def give(value: int) -> int:
    """Its input."""
    return value


GIVE = Job("give", [Stage("give", give)])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests give up early."""
    for module in PATIENT:
        monkeypatch.setattr(f"coremachine.runtime.{module}.PATIENCE_SECONDS", SHORT)


@asynccontextmanager
async def holding(app: AsyncCoreMachine, statement: str, *given: object) -> AsyncGenerator[int]:
    """Another session has run the statement in a transaction that stays open; yields its process."""
    async with await app.database.connection("holder") as holder, holder.transaction():
        await holder.execute(statement.encode(), given or None)
        yield holder.info.backend_pid


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged about waits."""
    logged = (record.getMessage() for record in caplog.records if record.name == "coremachine.database")
    return [message for message in logged if message.startswith("waiting for a lock")]


def only_holder(raised: pytest.ExceptionInfo[LockTimeoutError]) -> LockHolder:
    """The one holder that the error names."""
    (holder,) = raised.value.holders
    return holder


REQUESTS: dict[str, tuple[str, Request]] = {
    "cancel": (LOCK_JOB, lambda app, job_id: app.cancel(job_id)),
    "resume": (LOCK_JOB, lambda app, job_id: app.resume(job_id)),
    "cancel, a table": (LOCK_JOBS, lambda app, job_id: app.cancel(job_id)),
    "submit": (LOCK_JOBS, lambda app, _: app.submit(GIVE, value=2)),
    "list_jobs": (LOCK_JOBS, lambda app, _: app.list_jobs()),
    "job": (LOCK_JOBS, lambda app, job_id: app.job(job_id)),
    "timeline": (LOCK_JOBS, lambda app, job_id: app.timeline(job_id)),
    "why": (LOCK_JOBS.replace("jobs", "workers"), lambda app, job_id: app.why(job_id)),
    "audit": (LOCK_JOBS, lambda app, _: app.audit()),
    "open": (LOCK_JOBS.replace("jobs", "installed"), lambda app, _: app.database.check_installed()),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_names_the_session_whose_lock_it_waits_for_and_gives_up(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    app = await open_app(GIVE)
    job = await app.submit(GIVE, value=1)
    statement, request = REQUESTS[name]
    given = [job.id] if "%s" in statement else []
    async with holding(app, statement, *given) as pid:
        with pytest.raises(LockTimeoutError) as raised:
            await asyncio.wait_for(request(app, job.id), 15)
    holder = only_holder(raised)
    assert (holder.pid, holder.gid, holder.application) == (pid, None, "coremachine holder")
    assert holder.query == statement.replace("%s", "$1")
    assert holder.since is not None
    assert str(holder) in str(raised.value)
    assert f"SELECT pg_terminate_backend({pid})" in str(raised.value)
    (logged,) = warnings(caplog)
    assert f"process {pid} (user " in logged
    assert (await app.job(job.id))["status"] == "queued"
    assert await counted_events(app, job.id) == {"job_created": 1, "job_queued": 1}
    assert len(await app.list_jobs()) == 1


async def test_a_lock_that_is_released_in_time_is_reported_and_the_request_succeeds(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = await open_app(GIVE)
    job = await app.submit(GIVE, value=1)
    async with holding(app, LOCK_JOB, job.id) as pid:
        cancelling = asyncio.ensure_future(app.cancel(job.id))

        async def reported() -> list[str]:
            return warnings(caplog)

        began = asyncio.get_running_loop().time()
        (logged,) = await until(reported, "the wait is reported")
        assert asyncio.get_running_loop().time() - began < 3
    assert f"process {pid} (" in logged
    assert "the query of the holder" in logged
    assert await cancelling == "cancelled"
    assert warnings(caplog) == [logged]


@pytest.mark.usefixtures("impatient")
async def test_a_session_that_waits_itself_is_not_blamed(open_app: OpenApp) -> None:
    app = await open_app(GIVE)
    job = await app.submit(GIVE, value=1)
    async with holding(app, LOCK_JOB, job.id) as pid, await app.database.connection("in between") as between:
        waiting = asyncio.ensure_future(between.execute(b"ALTER TABLE app.jobs ADD COLUMN more INT"))
        try:
            await until_row(app, WAITING)
            with pytest.raises(LockTimeoutError) as raised:
                await app.list_jobs()
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])
    assert only_holder(raised).pid == pid


@pytest.mark.usefixtures("impatient")
async def test_connections_are_usable_after_a_wait_that_was_given_up(open_app: OpenApp) -> None:
    app = await open_app(GIVE, pool_size=2)
    job = await app.submit(GIVE, value=1)
    before = await rows(app, "SELECT pid FROM pg_stat_activity WHERE application_name = 'coremachine' ORDER BY pid")
    async with holding(app, LOCK_JOBS):
        for _ in range(2):
            with pytest.raises(LockTimeoutError):
                async with app.database.session(SHORT) as session:
                    await session.fetch_together(["flow/load_job", "flow/load_stages"], {"job_id": job.id})
            with pytest.raises(LockTimeoutError):
                await app.cancel(job.id)
    after = await rows(app, "SELECT pid FROM pg_stat_activity WHERE application_name = 'coremachine' ORDER BY pid")
    assert set(map(str, before)) <= set(map(str, after))
    assert await app.cancel(job.id) == "cancelled"
    watches = "SELECT pid FROM pg_stat_activity WHERE application_name = 'coremachine lock watch'"

    async def ended() -> bool:
        return not await rows(app, watches)

    await until(ended, "no watch is left")


@pytest.mark.usefixtures("impatient")
async def test_an_own_record_waits_no_longer_than_a_job(empty_url: str) -> None:
    async with AsyncCoreMachine(empty_url, jobs=[GIVE], records=[APPROVALS], install=True) as app:
        job = await app.submit(GIVE, value=1)
        await app.records.create(APPROVALS, "a1", {"job_id": job.id, "summary": "look"})
        async with holding(app, "SELECT FROM app.approvals FOR UPDATE") as pid:
            with pytest.raises(LockTimeoutError) as raised:
                await app.records.fire(APPROVALS, "a1", "approve")
        assert only_holder(raised).pid == pid
        assert (await app.records.get(APPROVALS, "a1"))["status"] == "pending"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("held", ["SELECT pg_advisory_xact_lock(1668248165)", "LOCK TABLE app.jobs IN SHARE MODE"])
async def test_installing_names_the_session_that_it_waits_for_and_changes_nothing(url: str, held: str) -> None:
    database = Database(url, records=Schema((*SCHEMA.records, APPROVALS)))
    async with await database.connection("holder") as holder:
        async with holder.transaction():
            await holder.execute("DELETE FROM app.installed")
            await holder.execute(held.encode())
            with pytest.raises(LockTimeoutError) as raised:
                await database.install()
        assert only_holder(raised).pid == holder.info.backend_pid
        cursor = await holder.execute("SELECT to_regclass('app.approvals') AS made")
        assert await cursor.fetchone() == {"made": None}
    assert await database.install() is True


@pytest.fixture(scope="module")
def preparing() -> Iterator[str]:
    """The URL of a server that allows prepared transactions, which the other one does not."""
    place = Path(tempfile.mkdtemp(prefix="coremachine-prepared-"))
    place.chmod(0o755)
    server = EmbeddedServer.open(place / "data")
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_prepared_transactions = 4")
        server.stop()
        server = EmbeddedServer.open(place / "data")
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(place)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("held", ["FOR UPDATE", "LOCK TABLE"])
async def test_a_prepared_transaction_is_named(preparing: str, caplog: pytest.LogCaptureFixture, held: str) -> None:
    name, gid = f"prepared_{uuid4().hex[:12]}", f"it's {held}"
    with Created(preparing, name, None):
        async with AsyncCoreMachine(url_of(preparing, name), jobs=[GIVE], install=True) as app:
            job = await app.submit(GIVE, value=1)
            statement = LOCK_JOBS if held == "LOCK TABLE" else f"SELECT FROM app.jobs WHERE job_id = '{job.id}' {held}"
            async with await app.database.connection("preparer") as preparer:
                for one in ("BEGIN", statement, f"PREPARE TRANSACTION {sql.quote(gid)}"):
                    await preparer.execute(one.encode())
                try:
                    with pytest.raises(LockTimeoutError) as raised:
                        await app.cancel(job.id)
                finally:
                    await preparer.execute(f"ROLLBACK PREPARED {sql.quote(gid)}".encode())
            holder = only_holder(raised)
            assert (holder.pid, holder.gid) == (None, gid)
            assert holder.since is not None
            assert "ROLLBACK PREPARED 'it''s " in str(raised.value)
            (logged,) = warnings(caplog)
            assert "prepared transaction" in logged
            assert await app.cancel(job.id) == "cancelled"


@pytest.mark.usefixtures("impatient")
async def test_a_wait_is_limited_when_its_holder_cannot_be_looked_up(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(GIVE)
    job = await app.submit(GIVE, value=1)

    async def refuse(_purpose: str) -> object:
        raise psycopg.OperationalError("too many clients")

    async with holding(app, LOCK_JOB, job.id):
        monkeypatch.setattr(app.database, "connection", refuse)
        with pytest.raises(LockTimeoutError, match="an unknown session") as raised:
            await app.cancel(job.id)
        monkeypatch.undo()
    assert raised.value.holders == ()
    (logged,) = [record.getMessage() for record in caplog.records if record.name == "coremachine.database"]
    assert "the reason cannot be looked up" in logged


def test_the_holder_in_words() -> None:
    hidden = LockHolder(pid=7, gid=None, user="owner", application=None, state=None, query="<q>", since=None)
    assert str(hidden) == "process 7 (user owner): <q>"
    error = LockTimeoutError(10.04, [hidden] * 5)
    assert "gave up after waiting 10 s for a lock; nothing was changed. The lock is held by process 7" in str(error)
    assert "; and 2 more." in str(error)
    assert "<q>" not in error.without_queries
