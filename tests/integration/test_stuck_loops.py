"""A server that stops answering is noticed within about a lease, also by other processes (I16, F52)."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.broker import BrokerMessageSource
from coremachine.runtime.bus.channel import Channel
from coremachine.runtime.bus.messages import OutgoingMessage, ReceivedMessage
from coremachine.runtime.bus.postgres import PostgresBus
from coremachine.runtime.reconciler import Reconciler, reconciler
from coremachine.runtime.store import turns
from coremachine.runtime.store.database import Database
from tests.databases import OpenApp
from tests.observing import rows
from tests.post_office import PostOffice
from tests.running import working
from tests.storm.proxy import Proxy
from tests.waiting import until_row, until_status

RELEASED = threading.Event()
STUCK = "SELECT worker, loops FROM app.workers WHERE loops @? '$.*.stuck_s'"
QUICK = {"lease": 2.0, "reconcile": 0.1}


@task
def one(number: int) -> int:
    return number


@task
def wait(number: int) -> int:
    RELEASED.wait(30)
    return number


ONES = Job("ones", [Stage("each", one, each="numbers")])
WAITS = Job("waits", [Stage("each", wait, each="numbers")])
NOBODYS = Job("nobodys", [Stage("each", one, each="numbers")])


@asynccontextmanager
async def claims_get_no_answer(app: AsyncCoreMachine) -> AsyncGenerator[None]:
    """Every statement that may change a task waits, as if its line were dead; the heartbeat is written as ever."""
    async with await app.database.connection("test") as holder, holder.transaction():
        await holder.execute(b"LOCK TABLE app.tasks IN EXCLUSIVE MODE")
        yield


def logged(caplog: pytest.LogCaptureFixture, what: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if what in record.getMessage()]


async def alive_in_health(app: AsyncCoreMachine) -> tuple[bool, bool]:
    async with app.database.session() as session:
        (row,) = await session.fetch("web/health_workers", {"alive": 30})
    return row["alive"], row["stuck"]


async def test_a_worker_whose_flow_gets_no_answer_is_not_alive_until_it_gets_one(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(turns, "LEAST_SECONDS", 0.5)
    caplog.set_level(logging.INFO, logger="coremachine")
    app, submitter = await open_app(ONES, **QUICK), await open_app(NOBODYS, **QUICK)
    async with working(app):
        done = await app.submit(ONES, numbers=[1])
        await until_status(app, done.id, "completed")
        waiting = await submitter.submit(NOBODYS, numbers=[1])
        assert "workers alive: 1" in " ".join((await submitter.why(waiting.id)).waits_for)
        async with claims_get_no_answer(submitter):
            stuck = await until_row(submitter, f"{STUCK} AND loops ? 'producer of tasks'")
            waits_for = " ".join((await submitter.why(waiting.id)).waits_for)
            assert f"the producer of tasks of worker {stuck['worker']}, which is stuck" in waits_for
            assert "no worker is alive" in waits_for
            found = {one.id: [row.detail for row in one.examples] for one in (await submitter.audit()).findings}
            assert any("stuck: it has waited" in detail for detail in found["GAP-32"])
            assert found["GAP-20"] == ["stuck, and no other worker is alive"]
            assert await alive_in_health(submitter) == (False, True)
            (beat,) = await rows(submitter, "SELECT seen_at FROM app.workers")
            await until_row(submitter, f"{STUCK} AND seen_at > %s", beat["seen_at"])
        await until_row(submitter, "SELECT FROM app.workers WHERE loops = '{}'")
        assert "workers alive: 1" in " ".join((await submitter.why(waiting.id)).waits_for)
        assert await alive_in_health(submitter) == (True, False)
        again = await app.submit(ONES, numbers=[2])
        await until_status(app, again.id, "completed")
    of_producer = [line for line in logged(caplog, "stuck") if "producer of tasks" in line]
    assert ["no longer" in line for line in of_producer] == [False, True]


async def test_a_worker_that_waits_for_its_handlers_is_not_stuck(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(turns, "LEAST_SECONDS", 0.5)
    caplog.set_level(logging.INFO, logger="coremachine")
    RELEASED.clear()
    app = await open_app(WAITS, concurrency=1, prefetch=0, **QUICK)
    async with working(app):
        job = await app.submit(WAITS, numbers=[1, 2])
        try:
            await until_row(app, "SELECT FROM app.tasks WHERE status = 'processing'")
            longer = "SELECT FROM app.workers WHERE loops = '{}' AND seen_at > started_at + interval '5 s'"
            await until_row(app, longer)
            assert await rows(app, STUCK) == []
        finally:
            RELEASED.set()
        await until_status(app, job.id, "completed")
    assert logged(caplog, "stuck") == []


class SilentOffice(PostOffice):
    """A broker that stops answering: what is sent, and what is asked for, waits until `answers` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.before.append(self._wait)

    async def _wait(self, _: Sequence[OutgoingMessage]) -> None:
        await self.answers.wait()


async def test_a_relay_whose_broker_does_not_answer_is_stuck(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEAST_SECONDS", 0.5)
    office = SilentOffice()
    app = await open_app(ONES, bus=office, **QUICK)
    async with working(app):
        job = await app.submit(ONES, numbers=[1])
        await until_row(app, f"{STUCK} AND loops ? 'relay of coremachine-jobs'")
        office.answers.set()
        await until_row(app, "SELECT FROM app.workers WHERE loops = '{}'")
        await until_status(app, job.id, "completed")


async def test_a_producer_whose_broker_does_not_answer_is_stuck(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEAST_SECONDS", 0.5)
    app = await open_app(ONES, bus=PostOffice(), **QUICK)
    answers, receive = asyncio.Event(), BrokerMessageSource.receive

    async def receive_late(self: BrokerMessageSource, most: int) -> Sequence[ReceivedMessage]:
        await answers.wait()
        return await receive(self, most)

    monkeypatch.setattr(BrokerMessageSource, "receive", receive_late)
    async with working(app):
        await until_row(app, f"{STUCK} AND loops ? 'producer of coremachine-tasks'")
        answers.set()
        await until_row(app, "SELECT FROM app.workers WHERE loops = '{}'")


async def test_a_heartbeat_on_a_dead_line_is_written_on_another(
    open_app: OpenApp, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "LEAST_SECONDS", 0.5)
    app = await open_app(**QUICK)
    async with Proxy(url) as proxy:
        database = Database(proxy.open().url, pool_size=1)
        await database.open()
        beating = Reconciler(database, PostgresBus(Channel(database)), "beating", app.settings)
        running = asyncio.create_task(beating.run_heartbeat())
        try:
            first = await until_row(app, "SELECT seen_at FROM app.workers WHERE worker = 'beating'")
            for link in proxy.links:
                link.pause(1000)
            later = "SELECT last_error FROM app.workers WHERE seen_at > %s AND failures > 0"
            row = await until_row(app, later, first["seen_at"])
            assert row["last_error"]["message"] == "no answer from the server within 2 s"
        finally:
            running.cancel()
            await asyncio.wait([running])
            await database.close()
