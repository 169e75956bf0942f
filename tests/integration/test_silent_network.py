"""A network that swallows packets is noticed: no wait for the server is without an end (F52)."""

import asyncio
import logging
import socket

import pytest

from coremachine.runtime.store import connection
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.server_settings import NETWORK_LIMITS
from coremachine.runtime.store.session import Row, Session
from tests.storm.proxy import Proxy

LINUX_KEEPALIVES = {
    "keepalives_idle": socket.TCP_KEEPIDLE,
    "keepalives_interval": socket.TCP_KEEPINTVL,
    "keepalives_count": socket.TCP_KEEPCNT,
    "tcp_user_timeout": socket.TCP_USER_TIMEOUT,
}


async def one(session: Session) -> list[Row]:
    return await session.statement("SELECT 1 AS one", {})


async def limits_of(descriptor: int) -> dict[str, int]:
    """The limits that the kernel has for a connection."""
    with socket.socket(fileno=socket.dup(descriptor)) as line:
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return {name: line.getsockopt(socket.IPPROTO_TCP, option) for name, option in LINUX_KEEPALIVES.items()}


async def test_f52_every_connection_has_limits_in_the_kernel(url: str) -> None:
    async with Proxy(url) as proxy:
        port = proxy.open()
        database = Database(port.url)
        await database.open()
        expected = {name: value for name, value in NETWORK_LIMITS.items() if name in LINUX_KEEPALIVES}
        async with database.session() as session, await database.connection("test") as apart:
            assert await limits_of(session.connection.fileno()) == expected
            assert await limits_of(apart.fileno()) == expected
        await database.close()


async def test_f52_a_statement_whose_answer_is_swallowed_is_repeated_on_another_connection(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.5)
    async with Proxy(url) as proxy:
        port = proxy.open()
        database = Database(port.url, pool_size=1)
        await database.open()
        assert await database.read(one) == [{"one": 1}]
        for link in proxy.links:
            link.pause(1000)
        with caplog.at_level(logging.WARNING):
            async with asyncio.timeout(30):
                assert await database.read(one) == [{"one": 1}]
        await database.close()
    assert "no answer from the server within 0.5 s" in caplog.text
