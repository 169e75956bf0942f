"""A listener probes its connection: a dead line, and a LISTEN that was lost, are noticed within about a lease (F52)."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import pytest

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus import channel
from coremachine.runtime.bus.channel import Channel
from coremachine.runtime.bus.messages import Kind
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.session import Row
from tests.databases import OpenApp
from tests.storm.proxy import Proxy
from tests.waiting import until


def logged(caplog: pytest.LogCaptureFixture, what: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if what in record.getMessage()]


class Listener:
    """A channel that listens through a proxy, and what it has woken."""

    def __init__(self, database: Database) -> None:
        self.woken: list[Kind] = []
        self.connections: list[psycopg.AsyncConnection[Row]] = []
        self._database = database

    @asynccontextmanager
    async def listening(self, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
        """Listen as long as the block lasts."""
        connect = self._database.connection

        async def connection(purpose: str) -> psycopg.AsyncConnection[Row]:
            self.connections.append(await connect(purpose))
            return self.connections[-1]

        monkeypatch.setattr(self._database, "connection", connection)
        running = asyncio.create_task(Channel(self._database).listen(self.woken.append))
        try:
            await self.until_woken("job", "task", "callback")
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def until_woken(self, *kinds: Kind) -> None:
        """Until exactly these were woken, in any order; then forget them."""

        async def found() -> bool:
            return sorted(self.woken) == sorted(kinds)

        await until(found, f"{kinds} woken; there are {self.woken}")
        self.woken.clear()


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(channel, "ANSWER_SECONDS", 0.5)


async def notify(app: AsyncCoreMachine, kind: Kind) -> None:
    async with app.database.transaction() as session:
        await Channel(app.database).notify(session, [kind])


@pytest.mark.usefixtures("quick_probes")
async def test_a_listener_whose_line_is_dead_connects_again(
    open_app: OpenApp, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="coremachine")
    app = await open_app()
    async with Proxy(url) as proxy:
        listener = Listener(Database(proxy.open().url))
        async with listener.listening(monkeypatch):
            await notify(app, "task")
            await listener.until_woken("task")
            for link in proxy.links:
                link.pause(1000)
            await listener.until_woken("job", "task", "callback")
            await notify(app, "callback")
            await listener.until_woken("callback")
    assert len(logged(caplog, "no answer from the server within 0.5 s")) == 1


@pytest.mark.usefixtures("quick_probes")
async def test_a_listener_that_has_lost_its_listen_listens_again(
    open_app: OpenApp, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="coremachine")
    app = await open_app()
    listener = Listener(Database(url))
    async with listener.listening(monkeypatch):
        await listener.connections[0].execute("UNLISTEN *")
        await listener.until_woken("job", "task", "callback")
        await notify(app, "callback")
        await listener.until_woken("callback")

        async def over() -> bool:
            return bool(logged(caplog, "notifications are received again"))

        await until(over, "a line that it is over")
    assert len(listener.connections) == 1
    assert len(logged(caplog, "no longer receives notifications")) == 1
    assert len(logged(caplog, "notifications are received again")) == 1


@pytest.mark.usefixtures("quick_probes")
async def test_a_healthy_listener_keeps_its_connection_and_loses_no_notification(
    open_app: OpenApp, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "PROBE_SECONDS", 0.01)
    app = await open_app()
    listener = Listener(Database(url))
    async with listener.listening(monkeypatch):
        for _ in range(50):
            await notify(app, "task")
            await listener.until_woken("task")
    assert len(listener.connections) == 1
