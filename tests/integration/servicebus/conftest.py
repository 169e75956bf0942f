"""An application on the real SDK and the test broker, with queues of its own."""

import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from coremachine import Job
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.servicebus import ServiceBusTransport
from coremachine.runtime.bus.servicebus.namespace import Namespace
from coremachine.runtime.settings import Settings
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


@pytest_asyncio.fixture
async def queues(broker: Broker, url: str, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Queues]:
    """New queues, whose messages are locked for 3 seconds; faults are forgotten when the test ends."""
    # its records hold tracebacks, whose frames hold sockets, beyond the end of the loop
    caplog.set_level(logging.CRITICAL + 1, logger="azure")
    prefix = f"faults-{next(NUMBERS)}-"
    async with AsyncExitStack() as stack:

        async def opened(*jobs: Job, **settings: Any) -> AsyncCoreMachine:
            transport = ServiceBusTransport(Namespace(broker.connection_string), probe_every=2.0)
            quick = Settings.model_validate({"poll": 0.2, "grace": 2.0, "queue_prefix": prefix, **settings})
            return await stack.enter_async_context(AsyncCoreMachine(url, jobs=jobs, settings=quick, bus=transport))

        made = Queues(broker, prefix, opened)
        for queue in (made.jobs, made.tasks):
            broker.create_queue(queue, requires_duplicate_detection=True, lock_duration=3.0)
        yield made
        broker.heal()
    gc.collect()  # the SDK drops sockets where a connection breaks: while the loop still runs they can be closed
