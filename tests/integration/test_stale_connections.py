"""A connection that was cut while nobody used it: what a user asks for is done on another one."""

import psycopg
import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.errors import DatabaseUnreachableError
from tests.databases import OpenApp
from tests.observing import counted_events
from tests.storm.proxy import Proxy

CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@task
def give(value: int) -> int:
    """Its input."""
    return value


GIVE = Job("give", [Stage("give", give)])


async def cut(app: AsyncCoreMachine) -> None:
    """Cut every connection of the application."""
    async with await app.database.connection("cutter") as connection:
        await connection.execute(CUT.encode())


async def test_every_request_after_a_cut_is_answered(open_app: OpenApp) -> None:
    app = await open_app(GIVE)
    await cut(app)
    submitted = await app.submit(GIVE, value=1)
    await cut(app)
    assert (await app.job(submitted.id))["status"] == "queued"
    await cut(app)
    assert [job["job_id"] for job in await app.list_jobs()] == [submitted.id]
    await cut(app)
    assert "job_queued" in await app.timeline(submitted.id)
    await cut(app)
    assert await app.cancel(submitted.id) == "cancelled"
    await cut(app)
    assert (await app.resume(submitted.id)).status == "queued"
    assert (await counted_events(app, submitted.id))["job_created"] == 1


async def test_a_database_that_stays_away_is_reported_in_our_own_words(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coremachine.runtime.flow.submit.PATIENCE_SECONDS", 0.2)
    async with Proxy(url) as proxy:
        port = proxy.open()
        app = await AsyncCoreMachine(port.url, jobs=[GIVE]).open()
        monkeypatch.setattr(app.database._pool, "timeout", 0.5)  # pyright: ignore[reportPrivateUsage]
        proxy.close(port)
        with pytest.raises(DatabaseUnreachableError, match=r"no connection to 127\.0\.0\.1.*refused") as raised:
            await app.submit(GIVE, value=1)
        await app.disconnect()
    assert isinstance(raised.value.__cause__, psycopg.OperationalError)
