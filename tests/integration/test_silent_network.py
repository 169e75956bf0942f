"""A network that swallows packets is noticed: no wait for the server is without an end (F52)."""

import asyncio
import logging
import socket

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.leases.lease_table import LeaseTable
from coremachine.runtime.leases.renewer import LeaseRenewer
from coremachine.runtime.store import connection
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.server_settings import NETWORK_LIMITS
from coremachine.runtime.store.session import Row, Session
from tests.crash.proxy import DIRECTIONS, Direction, Proxy
from tests.databases import OpenApp
from tests.integration.lost_worker import GONE, claim_tasks, handle_messages
from tests.observing import rows
from tests.waiting import until

LINUX_KEEPALIVES = {
    "keepalives_idle": socket.TCP_KEEPIDLE,
    "keepalives_interval": socket.TCP_KEEPINTVL,
    "keepalives_count": socket.TCP_KEEPCNT,
    "tcp_user_timeout": socket.TCP_USER_TIMEOUT,
}
BOTH_WAYS = pytest.mark.parametrize(
    "directions", [DIRECTIONS, DIRECTIONS[:1], DIRECTIONS[1:]], ids=["both", "to the server", "from the server"]
)
LEASE = 6.0
STATE = "SELECT lease_expires_at, lease_expires_at < app.clock() AS expired, lease_number, task_id FROM app.tasks"
EXPIRING = "UPDATE app.tasks SET lease_expires_at = now() + interval '5 seconds'"


@task
def number(number: int) -> int:
    return number


KEPT = Job("kept", [Stage("one", number, each="numbers")])


async def one(session: Session) -> list[Row]:
    return await session.statement("SELECT 1 AS one", {})


async def limits_of(descriptor: int) -> dict[str, int]:
    """The limits that the kernel has for a connection."""
    with socket.socket(fileno=socket.dup(descriptor)) as line:
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return {name: line.getsockopt(socket.IPPROTO_TCP, option) for name, option in LINUX_KEEPALIVES.items()}


async def test_f52_every_connection_has_limits_in_the_kernel(url: str) -> None:
    async with Proxy(url) as proxy:
        database = Database(proxy.url)
        await database.open()
        expected = {name: value for name, value in NETWORK_LIMITS.items() if name in LINUX_KEEPALIVES}
        async with database.session() as session, await database.connection("test") as apart:
            assert await limits_of(session.connection.fileno()) == expected
            assert await limits_of(apart.fileno()) == expected
        await database.close()


@BOTH_WAYS
async def test_f52_a_statement_that_is_swallowed_or_its_answer_is_repeated_on_another_connection(
    url: str, directions: tuple[Direction, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.5)
    async with Proxy(url) as proxy:
        database = Database(proxy.url, pool_size=1)
        await database.open()
        assert await database.read(one) == [{"one": 1}]
        proxy.swallow(directions)
        with caplog.at_level(logging.WARNING):
            async with asyncio.timeout(30):
                assert await database.read(one) == [{"one": 1}]
        await database.close()
    assert "no answer from the server within 0.5 s" in caplog.text


@BOTH_WAYS
async def test_a_silent_line_of_the_lease_renewer_is_replaced_before_its_leases_expire(
    open_app: OpenApp, url: str, directions: tuple[Direction, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="coremachine")
    app = await open_app(KEPT)
    await app.submit(KEPT, numbers=[1])
    await handle_messages(app)
    assert await claim_tasks(app) == 1
    await rows(app, EXPIRING)
    (task,) = await rows(app, STATE)
    leases = LeaseTable()
    with leases.claiming("task") as won:
        won[task["task_id"]] = task["lease_number"]

    async def renewed_since(before: Row) -> Row | None:
        (now,) = await rows(app, STATE)
        assert not now["expired"]
        return now if now["lease_expires_at"] > before["lease_expires_at"] else None

    async def reported() -> bool:
        return "no answer from the server" in caplog.text

    async with Proxy(url) as proxy:
        database = Database(proxy.url)
        await database.open()
        renewer = LeaseRenewer(database, leases, GONE, LEASE)
        renewer.start()
        renewed = await until(lambda: renewed_since(task), "the lease is renewed")
        assert renewed is not None
        proxy.swallow(directions)
        await until(reported, "the silence is noticed")
        assert await until(lambda: renewed_since(renewed), "the lease is renewed on another connection")
        renewer.stop()
        await database.close()
