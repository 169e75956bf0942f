"""A line to the broker that swallows what is sent, without a reset, is noticed on every link and reported once."""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from time import monotonic

import pytest
import pytest_asyncio

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.messages import MessageRef, OutgoingMessage
from coremachine.runtime.bus.servicebus import ServiceBusTransport, end, receiver
from coremachine.runtime.bus.settlement import Complete
from coremachine.runtime.errors import BrokerError
from coremachine.runtime.logs import FIELDS
from coremachine.runtime.settings import Settings
from tests.crash.amqp_proxy import BrokerProxy
from tests.crash.proxy import DIRECTIONS, Direction
from tests.integration.servicebus.conftest import Queues
from tests.integration.servicebus.faults import SUMS
from tests.running import working
from tests.waiting import until, until_event

LEASE = 3.0
LINKS = 6  # of each of two queues: a sender, a receiver, and a reader of dead letters
BEGIN = (
    "cannot receive messages; trying again",
    "cannot send messages; trying again",
    "dead letters cannot be read; trying again",
)
END = ("messages can be received again", "messages can be sent again", "dead letters can be read again")
BOTH_WAYS = pytest.mark.parametrize(
    "directions", [DIRECTIONS, DIRECTIONS[:1], DIRECTIONS[1:]], ids=["both", "to the broker", "from the broker"]
)


@pytest_asyncio.fixture
async def proxy(queues: Queues) -> AsyncIterator[BrokerProxy]:
    async with BrokerProxy(queues.broker) as made:
        yield made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end, "PROBE_SECONDS", LEASE / 2)
    monkeypatch.setattr(end, "CONNECTING", LEASE)


def lines(caplog: pytest.LogCaptureFixture, wanted: Iterable[str]) -> Counter[tuple[str, str]]:
    """How often each of these was logged for each queue."""
    logged: list[dict[str, str]] = [getattr(record, FIELDS, {}) for record in caplog.records]
    return Counter(
        (data["event"], data.get("queue", "") or data["source"]) for data in logged if data.get("event", "") in wanted
    )


@BOTH_WAYS
@pytest.mark.usefixtures("quick")
async def test_a_worker_notices_each_silent_link_within_a_lease_and_logs_its_begin_and_its_end_once(
    queues: Queues, proxy: BrokerProxy, url: str, directions: tuple[Direction, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="coremachine")
    settings = Settings(poll=0.2, grace=2.0, queue_prefix=queues.prefix, lease=LEASE, relay_lease=3.0)
    transport = ServiceBusTransport.of(proxy.url, LEASE)
    async with AsyncCoreMachine(url, jobs=[SUMS], settings=settings, bus=transport) as app, working(app):
        first = await app.submit(SUMS, count=3)
        await until_event(app, first.id, "callback_executed")
        await until_true(lambda: len(proxy.links) == LINKS, "each link is open")

        proxy.swallow(directions, also_new=True)
        began = monotonic()
        await until_true(lambda: len(lines(caplog, BEGIN)) == LINKS, "each silent link is noticed")
        noticed = monotonic() - began
        proxy.pass_new()
        second = await app.submit(SUMS, count=4)
        await until_event(app, second.id, "callback_executed")
        await until_true(lambda: len(lines(caplog, END)) == LINKS, "each link is back")
    assert noticed < 2 * LEASE
    assert set(lines(caplog, BEGIN).values()) == set(lines(caplog, END).values()) == {1}


async def until_true(holds: Callable[[], bool], what: str) -> None:
    async def found() -> bool:
        return holds()

    await until(found, what)


@pytest.mark.parametrize("kind", ["sender", "receiver", "dead letters"])
@pytest.mark.usefixtures("quick")
async def test_each_link_alone_is_probed_when_it_is_silent_and_works_again_on_another_connection(
    queues: Queues, proxy: BrokerProxy, kind: str
) -> None:
    transport = ServiceBusTransport.of(proxy.url, LEASE)
    sends, receives = transport.sender(queues.tasks), transport.receiver(queues.tasks)
    reads = transport.dead_letters(queues.tasks)
    uses: dict[str, Callable[[], Awaitable[object]]] = {
        "sender": sends.open,
        "receiver": lambda: receives.receive(1, 0.1),
        "dead letters": lambda: reads.receive(1, 0.1),
    }
    use = uses[kind]
    await use()
    (link,) = proxy.links
    link.swallow()
    began = monotonic()

    async def refused() -> BrokerError | None:
        try:
            await use()
        except BrokerError as error:
            return error
        return None

    error = await until(refused, "the silence is noticed")
    assert monotonic() - began < 2 * LEASE
    assert error is not None
    assert ("the line is silent" in str(error), error.lasting) == (True, False)
    await use()
    for one in (sends, receives, reads, transport):
        await one.close()


async def test_a_settlement_into_silence_is_uncertain_and_the_next_receive_reports_the_line(
    queues: Queues, proxy: BrokerProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "SETTLE_SECONDS", 1.0)
    transport = ServiceBusTransport.of(proxy.url)
    sends, receives = transport.sender(queues.tasks), transport.receiver(queues.tasks)
    ref = MessageRef(kind="task", key="1-0", job_id="f" * 64, lease_number=0)
    await sends.send([OutgoingMessage(ref=ref, send_number=1)])
    (received,) = await receives.receive(1, 5)
    proxy.swallow()
    assert await receives.settle([(received, Complete("done"))]) == 1
    with pytest.raises(BrokerError, match="no answer within 1 s"):
        await receives.receive(1, 0.1)
    assert await receives.receive(1, 0.1) == []
    for one in (sends, receives, transport):
        await one.close()
