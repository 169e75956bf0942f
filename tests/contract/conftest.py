"""Each bus in turn. COREMACHINE_TEST_SERVICEBUS names a real namespace, or an emulator, in place of the test broker."""

import os
from itertools import count
from typing import Any

import pytest

from coremachine import Job
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.servicebus import ServiceBusTransport
from tests.contract.buses import BusUnderTest
from tests.databases import OpenApp
from tests.post_office import PostOffice

BUSES = ("postgres", "post office", "servicebus")
NUMBERS = count(1)


@pytest.fixture(params=BUSES)
def bus_under_test(request: pytest.FixtureRequest, open_app: OpenApp) -> BusUnderTest:
    """The bus of this run of the test."""
    name: str = request.param

    async def open_on_bus(*jobs: Job, **settings: Any) -> AsyncCoreMachine:
        if name == "postgres":
            return await open_app(*jobs, **settings)
        if name == "post office":
            return await open_app(*jobs, bus=PostOffice(), **settings)
        prefix, connection = _queues(request, jobs)
        return await open_app(*jobs, bus=ServiceBusTransport.of(connection), queue_prefix=prefix, **settings)

    return BusUnderTest(name, open_on_bus)


def _queues(request: pytest.FixtureRequest, jobs: tuple[Job, ...]) -> tuple[str, str]:
    """A prefix for the queues of this test, and where they are."""
    given = os.environ.get("COREMACHINE_TEST_SERVICEBUS")
    if given:
        return "", given
    broker = request.getfixturevalue("broker")
    prefix = f"contract-{next(NUMBERS)}-"
    routed = {one.options.queue or "coremachine-tasks" for job in jobs for one in job.tasks.values()}
    for queue in {"coremachine-jobs", *routed}:
        broker.create_queue(prefix + queue, requires_duplicate_detection=True)
    return prefix, broker.connection_string
