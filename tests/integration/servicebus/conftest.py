"""An application on the real SDK and the test broker, with queues of its own."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from coremachine import Job
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.servicebus import ServiceBusTransport
from coremachine.runtime.bus.servicebus.namespace import Namespace
from tests.databases import OpenApp
from tests.servicebus.brokers import Broker

NUMBERS = count(1)


@dataclass(frozen=True)
class Queues:
    """The broker and the two queues of a test; `open_app(job, …, setting=…)` opens an application on them."""

    broker: Broker
    prefix: str
    open_app: Callable[..., Awaitable[AsyncCoreMachine]]

    @property
    def jobs(self) -> str:
        """The queue of jobs and callbacks."""
        return f"{self.prefix}coremachine-jobs"

    @property
    def tasks(self) -> str:
        """The queue of tasks."""
        return f"{self.prefix}coremachine-tasks"


@pytest.fixture
def queues(broker: Broker, open_app: OpenApp) -> Iterator[Queues]:
    """New queues; faults are forgotten when the test ends."""
    prefix = f"faults-{next(NUMBERS)}-"

    async def opened(*jobs: Job, **settings: Any) -> AsyncCoreMachine:
        transport = ServiceBusTransport(Namespace(broker.connection_string), probe_every=2.0)
        return await open_app(*jobs, bus=transport, queue_prefix=prefix, **settings)

    made = Queues(broker, prefix, opened)
    for queue in (made.jobs, made.tasks):
        broker.create_queue(queue, requires_duplicate_detection=True, lock_duration=3.0)
    yield made
    broker.heal()
