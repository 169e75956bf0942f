"""Fixtures for tests that talk to the test broker, as a pytest plugin (`tests/conftest.py` names it).

| fixture | gives |
|---|---|
| `broker` | the broker of the test run; its faults are forgotten after each test that has a queue |
| `own_broker` | one for a single test, for faults that strike every connection |
| `new_queue` | makes queues with names of their own: `new_queue(max_delivery_count=2)` |
| `queue` | one of them, with the settings that a queue has by default |
| `bench` | one queue for a module, emptied and reset after each test, with a sender and a receiver on it |
| `bus` | the real SDK's client, sync: `bus.sender(queue)`, `bus.receiver(queue, prefetch_count=10)` |
| `aio_bus` | the same for asyncio |

A receiver of the SDK takes a second to close, asleep: `bus` closes what it opened all together, at the end of a module.
"""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from .brokers import Broker
from .entities import QueueSettings

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient, ServiceBusReceiver, ServiceBusSender
    from azure.servicebus.aio import ServiceBusClient as AioClient
    from azure.servicebus.aio import ServiceBusReceiver as AioReceiver
    from azure.servicebus.aio import ServiceBusSender as AioSender

    from .bench import Bench

QUICK: dict[str, Any] = {"retry_total": 3, "retry_backoff_factor": 0.02, "retry_backoff_max": 0.2}
NUMBERS = count(1)
PARDONED = "ignore:(unclosed (<socket|<StreamWriter|transport)|loop is closed):ResourceWarning"
BROKERS = {"broker", "own_broker", "broker_process", "bus_under_test"}
"""The fixtures through which a test comes to use the SDK."""
NewQueue = Callable[..., str]


class Bus:
    """The SDK's sync client; what is opened with it is closed with it."""

    def __init__(self, client: "ServiceBusClient") -> None:
        self.client = client
        self._opened: list[ServiceBusSender | ServiceBusReceiver] = []

    def sender(self, queue: str) -> "ServiceBusSender":
        """A sender, not yet connected."""
        opened = self.client.get_queue_sender(queue)
        self._opened.append(opened)
        return opened

    def receiver(self, queue: str, **given: Any) -> "ServiceBusReceiver":
        """A receiver, not yet connected; it takes what `get_queue_receiver` takes."""
        opened = self.client.get_queue_receiver(queue, **given)
        self._opened.append(opened)
        return opened

    def close(self) -> None:
        """Close all of them at once."""
        with ThreadPoolExecutor(max_workers=max(1, len(self._opened))) as pool:
            list(pool.map(_closed, self._opened))
        self.client.close()
        gc.collect()


def _closed(opened: "ServiceBusSender | ServiceBusReceiver") -> None:
    opened.close()


class AioBus:
    """The SDK's client for asyncio; what is opened with it is closed with it."""

    def __init__(self, client: "AioClient") -> None:
        self.client = client
        self._opened: list[AioSender | AioReceiver] = []

    def sender(self, queue: str) -> "AioSender":
        """A sender, not yet connected."""
        opened = self.client.get_queue_sender(queue)
        self._opened.append(opened)
        return opened

    def receiver(self, queue: str, **given: Any) -> "AioReceiver":
        """A receiver, not yet connected; it takes what `get_queue_receiver` takes."""
        opened = self.client.get_queue_receiver(queue, **given)
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        """Close all of them at once."""
        await asyncio.gather(*(opened.close() for opened in self._opened))
        await self.client.close()
        gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pardon the SDK: where a connection breaks, it drops the socket without closing it."""
    for item in items:
        if _of_the_sdk(item):
            item.add_marker(pytest.mark.filterwarnings(PARDONED))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Collect what the SDK has dropped here and now, or the next test would be blamed for it."""
    yield
    if _of_the_sdk(item):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def _of_the_sdk(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and not BROKERS.isdisjoint(item.fixturenames)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def new_queue(broker: Broker) -> Iterator[NewQueue]:
    def made(**settings: Any) -> str:
        return broker.create_queue(f"queue-{next(NUMBERS)}", **settings)

    yield made
    broker.heal()


@pytest.fixture
def queue(new_queue: NewQueue) -> str:
    return new_queue()


@pytest.fixture(scope="module")
def bus(broker: Broker) -> Iterator[Bus]:
    from azure.servicebus import ServiceBusClient

    opened = Bus(ServiceBusClient.from_connection_string(broker.connection_string, **QUICK))
    yield opened
    broker.heal()
    opened.close()


@pytest.fixture
async def aio_bus(broker: Broker) -> AsyncIterator[AioBus]:
    from azure.servicebus.aio import ServiceBusClient

    opened = AioBus(ServiceBusClient.from_connection_string(broker.connection_string, **QUICK))
    yield opened
    broker.heal()
    await opened.close()


@pytest.fixture(scope="module")
def shared_bench(broker: Broker, bus: Bus) -> "Bench":
    from .bench import Bench

    queue = broker.create_queue(f"queue-{next(NUMBERS)}")
    return Bench(broker, queue, bus.sender(queue), bus.receiver(queue))


@pytest.fixture
def bench(shared_bench: "Bench") -> Iterator["Bench"]:
    yield shared_bench
    shared_bench.broker.heal()
    shared_bench.broker.purge(shared_bench.queue)
    shared_bench.broker.configure(shared_bench.queue, **vars(QueueSettings()))
