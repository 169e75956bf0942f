"""Through PgBouncer in transaction mode: no job fails, and nothing of ours is left in a session of the server (F54)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.errors import DirectUrlError, LockTimeoutError
from coremachine.runtime.settings import Settings
from coremachine.runtime.store.server_settings import CONNECTION_SETTINGS
from coremachine.statemachine.retry import Backoff
from tests.databases import install
from tests.observing import counted_events
from tests.pgbouncer import POOL, pgbouncer
from tests.renewers import renewer_is_up
from tests.running import work, working
from tests.waiting import until_status

AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)
JOBS, WORKERS = 200, 2
LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
STATE = (
    "SELECT 'setting ' || name AS what, current_setting(name) AS found FROM unnest(%(names)s::text[]) AS s(name)"
    " UNION ALL SELECT 'role', current_user"
    " UNION ALL SELECT 'prepared', string_agg(statement, ';') FROM pg_prepared_statements"
    " UNION ALL SELECT 'channels', string_agg(c, ' ') FROM pg_listening_channels() AS c ORDER BY 1"
)
"""What a client of a pooler finds in the session that it is given."""


@task
def numbers(count: int) -> list[int]:
    """Items for a fan-out."""
    return list(range(count))


@task
def total(doubled: list[int]) -> int:
    """Their sum."""
    return sum(doubled)


def doubling(*, fails: bool = True) -> Job:
    """A job of three stages; if it fails, then the first task of its fan-out once."""
    failed: set[int] = set()

    @task(retries=2, timeout=60, backoff=AT_ONCE)
    def double(number: int, seed: int) -> int:
        if fails and number == 0 and seed not in failed:
            failed.add(seed)
            raise OSError("not now")
        return 2 * number

    stages = [
        Stage("numbers", numbers),
        Stage("double", double, each="numbers"),
        Stage("total", total, gather="double"),
    ]
    return Job("doubling", stages)


@pytest.fixture
def through(url: str) -> Iterator[str]:
    """The URL of this test's database through PgBouncer."""
    with pgbouncer(url) as pooled:
        yield pooled


@asynccontextmanager
async def opened(url: str, job: Job, **settings: Any) -> AsyncGenerator[AsyncCoreMachine]:
    quick = Settings.model_validate({"poll": 0.1, "grace": 2.0, **settings})
    async with AsyncCoreMachine(url, jobs=[job], settings=quick) as app:
        yield app


def state_of_sessions(url: str) -> list[list[tuple[str, str]]]:
    """What each session of the pool has set, seen by a foreign client that holds all of them at the same time."""
    with psycopg.connect(url, prepare_threshold=None) as one, psycopg.connect(url, prepare_threshold=None) as other:
        names = {"names": list(CONNECTION_SETTINGS)}
        return [connection.execute(STATE, names).fetchall() for connection in (one, other)]


async def assert_all_complete(app: AsyncCoreMachine, ids: list[str]) -> None:
    async with app.database.session() as session:
        failed = await session.connection.execute("SELECT job_id, status FROM app.jobs WHERE status <> 'completed'")
        assert await failed.fetchall() == []
    for job_id in ids[:3]:
        row = await app.job(job_id)
        assert row["result"] == 2 * sum(range(6))
    audit = await app.audit()
    assert [one.id for one in audit.findings] == []


async def test_f54_two_workers_complete_200_jobs_through_a_pool_of_5(through: str) -> None:
    before = state_of_sessions(through)
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(opened(through, doubling())) for _ in range(WORKERS)]
        assert apps[0].database.pooler is True
        submitted = [await apps[0].submit("doubling", count=6, seed=seed, key=str(seed)) for seed in range(JOBS)]
        workers = [await stack.enter_async_context(working(app)) for app in apps]
        assert len(workers) == WORKERS
        for one in submitted:
            await until_status(apps[0], one.id, "completed", "failed", "cancelled", within=240.0)
        await assert_all_complete(apps[0], [one.id for one in submitted])
        assert state_of_sessions(through) == before
    assert state_of_sessions(through) == before


async def test_a_direct_connection_keeps_settings_and_prepared_statements_for_its_session(url: str) -> None:
    async with opened(url, doubling()) as app:
        assert app.database.pooler is False
        async with app.database.session() as session:
            for _ in range(10):
                await session.fetch("worker/unfinished", {"types": []})
            kept = await session.connection.execute("SELECT count(*) AS n FROM pg_prepared_statements")
            (row,) = await kept.fetchall()
            assert row["n"] > 0
            (row,) = await (await session.connection.execute("SELECT current_setting('jit') AS jit")).fetchall()
            assert row["jit"] == "off"


async def test_a_worker_behind_a_pooler_polls_and_says_so(through: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="coremachine"):
        async with opened(through, doubling()) as app:
            await app.submit("doubling", count=3, seed=0)
            await work(app)
    warned = [one.getMessage() for one in caplog.records if "pooler" in one.getMessage()]
    assert len(warned) == 1
    assert "COREMACHINE_DIRECT_URL" in warned[0]


async def test_with_a_direct_url_a_worker_listens_past_the_pooler(
    through: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="coremachine"):
        async with opened(through, doubling(fails=False), direct_url=url, poll=30.0) as app, working(app):
            async with asyncio.timeout(20.0):  # far less than a poll for each step
                submitted = await app.submit("doubling", count=3, seed=0)
                await until_status(app, submitted.id, "completed")
    assert "pooler" not in caplog.text


@pytest.mark.parametrize("pooled", [True, False], ids=["pooler", "direct"])
async def test_without_listen_nothing_listens_and_nothing_notifies(url: str, pooled: bool) -> None:  # noqa: FBT001
    async with AsyncExitStack() as stack:
        address = stack.enter_context(pgbouncer(url)) if pooled else url
        app = await stack.enter_async_context(opened(address, doubling(), listen=False))
        heard = await stack.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
        await heard.execute("LISTEN coremachine_app")
        submitted = await app.submit("doubling", count=3, seed=0)
        async with working(app):
            await until_status(app, submitted.id, "completed")
            listening = await heard.execute(LISTENING)
            assert await listening.fetchone() == (0,)
        assert [one async for one in heard.notifies(timeout=0.5)] == []


async def test_a_direct_url_that_is_no_way_past_the_pooler_is_refused(through: str, url: str, empty_url: str) -> None:
    for direct_url, reason in ((empty_url, "another database"), (through, "a connection pooler too")):
        with pytest.raises(DirectUrlError, match=reason) as refused:
            async with opened(through, doubling(), direct_url=direct_url):
                pass
        assert "password" not in str(refused.value)
    async with opened(url, doubling(), direct_url=url) as app:
        assert app.database.pooler is False


async def test_a_pool_of_one_session_is_enough_for_two_workers(url: str) -> None:
    with pgbouncer(url, pool=1) as through:
        async with AsyncExitStack() as stack:
            first, second = [await stack.enter_async_context(opened(through, doubling())) for _ in range(2)]
            async with working(first), working(second):
                submitted = [await first.submit("doubling", count=6, seed=seed) for seed in range(5)]
                for one in submitted:
                    await until_status(first, one.id, "completed", "failed", "cancelled", within=60.0)
            await assert_all_complete(first, [one.id for one in submitted])


async def test_a_lease_is_renewed_through_a_pooler(through: str) -> None:
    @task(timeout=60)
    async def wait(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "waited"

    job = Job("waiting", [Stage("wait", wait)])
    async with opened(through, job, lease=1.0, reconcile=0.3) as app, working(app):
        await renewer_is_up(app)
        submitted = await app.submit(job, seconds=4.0)
        await until_status(app, submitted.id, "completed", "failed")
        counted = await counted_events(app, submitted.id)
    assert counted["task_completed"] == 1
    assert counted["task_rescued"] == 0
    assert counted["task_started"] == 1


async def test_the_schema_is_installed_through_a_pooler(empty_url: str) -> None:
    with pgbouncer(empty_url) as through:
        await install(through)
        async with opened(through, doubling()) as app:
            assert [one.id for one in (await app.audit()).findings] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DateStyle", "German"),
        ("IntervalStyle", "sql_standard"),
        ("TimeZone", "Asia/Kathmandu"),
        ("array_nulls", "off"),
        ("bytea_output", "escape"),
        ("extra_float_digits", "-15"),
        ("search_path", "nowhere"),
        ("default_transaction_isolation", "serializable"),
        ("standard_conforming_strings", "off"),
        ("quote_all_identifiers", "on"),
    ],
)
async def test_a_setting_of_the_database_does_not_matter_through_a_pooler(url: str, name: str, value: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        statement = sql.SQL("ALTER DATABASE {} SET {} = {}").format(database, sql.Identifier(name), sql.Literal(value))
        connection.execute(statement)
    with pgbouncer(url) as through:
        async with opened(through, doubling()) as app:
            submitted = await app.submit("doubling", count=6, seed=1)
            await work(app)
            await assert_all_complete(app, [submitted.id])
            assert (await app.why(submitted.id)).verdict == "completed"
            assert "Last successful: job_completed" in await app.timeline(submitted.id)


def test_a_pool_is_smaller_than_the_connections_of_its_clients() -> None:
    assert WORKERS * Settings().pool_size > POOL


async def test_a_wait_for_a_lock_is_reported_and_given_up(
    url: str, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("flow.cancel", "app.async_app"):
        monkeypatch.setattr(f"coremachine.runtime.{module}.PATIENCE_SECONDS", 1.5)
    async with opened(through, doubling()) as app, await psycopg.AsyncConnection.connect(url) as holder:
        job = await app.submit("doubling", count=1, seed=1)
        async with holder.transaction():
            await holder.execute(b"LOCK TABLE app.stages")
            with pytest.raises(LockTimeoutError) as writing:
                await app.cancel(job.id)
            with pytest.raises(LockTimeoutError) as reading:
                await app.job(job.id)
        for raised in (writing, reading):
            assert [one.pid for one in raised.value.holders] == [holder.info.backend_pid]
        assert await app.cancel(job.id) == "cancelled"
