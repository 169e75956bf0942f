"""The Azure Functions adapter, with the host's real types: the messages of a post office are brought by the test."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, NoReturn

import azure.functions as func
import pytest
import pytest_asyncio
from azure.functions.servicebus import ServiceBusMessage

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.messages import CHECK, MessageRef, OutgoingMessage, ReceivedMessage
from coremachine.runtime.bus.settlement import Complete, DeadLetter
from coremachine.runtime.functions import AbandonedError, FunctionsHost, register
from coremachine.runtime.settings import Settings
from tests.integration.clock import clock_moves
from tests.observing import counted_events, events_of, rows
from tests.post_office import PostOffice

QUEUES = ("coremachine-jobs", "coremachine-tasks")


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def double(number: int) -> int:
    return 2 * number


@task
def refuse(count: int) -> NoReturn:
    raise ValueError(f"{count} is too much")


SUMS = Job("sums", [Stage("numbers", numbers), Stage("double", double, each="numbers")])
REFUSED = Job("refused", [Stage("refuse", refuse)])


def message_of(received: ReceivedMessage) -> func.ServiceBusMessage:
    """What the host hands to a function."""
    return ServiceBusMessage(
        body=received.body,
        message_id=received.message_id,
        delivery_count=received.delivery_count + 1,
        application_properties={},
        user_properties={},
    )


@pytest.fixture
def office() -> PostOffice:
    return PostOffice()


@pytest_asyncio.fixture
async def host(url: str, office: PostOffice) -> AsyncIterator[FunctionsHost]:
    settings = Settings(poll=0.2, grace=2.0)
    made = FunctionsHost(AsyncCoreMachine(url, jobs=[SUMS, REFUSED], settings=settings, bus=office))
    yield made
    await made.close()


async def bring(host: FunctionsHost, office: PostOffice, until: str) -> list[Any]:
    """Play the host of Azure Functions: a function call for each message, until a job is in the state asked for."""
    settlements: list[Any] = []
    calls: set[asyncio.Task[Any]] = set()
    async with asyncio.timeout(30):
        while not await rows(host.app, "SELECT 1 FROM app.jobs WHERE status = %s", until):
            for queue in QUEUES:
                receiver = office.receiver(queue)
                for received in await receiver.receive(10, 0.02):
                    call = asyncio.create_task(host.handle(message_of(received), queue))
                    calls.add(call)
                    call.add_done_callback(lambda done: settlements.append(done.result()))
        await asyncio.gather(*calls)
    return settlements


async def test_a_job_runs_to_its_end_by_functions_alone(host: FunctionsHost, office: PostOffice) -> None:
    await host.maintain()
    submitted = await host.app.submit(SUMS, count=5)
    settlements = await bring(host, office, "completed")
    assert {type(one) for one in settlements} == {Complete}
    counts = await counted_events(host.app, submitted.id)
    assert (counts["task_started"], counts["task_completed"], counts["job_queued"]) == (6, 6, 1)
    assert (await host.app.audit()).findings == ()


async def test_when_a_function_returns_the_outcome_of_its_task_is_committed(
    host: FunctionsHost, office: PostOffice
) -> None:
    await host.maintain()
    submitted = await host.app.submit(REFUSED, count=5)
    for queue in QUEUES:
        (received,) = await office.receiver(queue).receive(1, 20)
        await host.handle(message_of(received), queue)
    assert (await counted_events(host.app, submitted.id))["task_failed"] == 1
    assert (await host.app.job(submitted.id))["error"]["message"] == "5 is too much"


async def test_a_copy_is_completed_and_runs_nothing_f04(host: FunctionsHost, office: PostOffice) -> None:
    await host.maintain()
    submitted = await host.app.submit(SUMS, count=2)
    await bring(host, office, "completed")
    before = await counted_events(host.app, submitted.id)
    for message in list(office.sent):
        received = ReceivedMessage(message_id=message.message_id, body=message.body)
        assert isinstance(await host.handle(message_of(received), QUEUES[0]), Complete)
    assert await counted_events(host.app, submitted.id) == before


async def test_the_message_of_a_check_is_completed_and_does_nothing(host: FunctionsHost) -> None:
    message = message_of(ReceivedMessage(message_id="check:1", body=CHECK))
    assert isinstance(await host.handle(message, QUEUES[0]), Complete)


async def test_a_message_that_nobody_could_handle_is_recorded_and_not_raised_f27(host: FunctionsHost) -> None:
    await host.maintain()
    submitted = await host.app.submit(SUMS, count=1)
    ref = MessageRef(kind="task", key="77-0", job_id=submitted.id, lease_number=0)
    message = OutgoingMessage(ref=ref, send_number=1)
    received = ReceivedMessage(message_id=message.message_id, body=message.body)
    for _ in range(2):
        settlement = await host.handle(message_of(received), QUEUES[1])
        assert isinstance(settlement, DeadLetter)
    (event,) = await events_of(host.app, submitted.id, "message_dead_lettered")
    assert event["event_data"]["reason"] == "NoSuchRow"


async def test_a_message_is_raised_back_where_the_claim_could_not_be_made(
    host: FunctionsHost, office: PostOffice
) -> None:
    await host.maintain()
    submitted = await host.app.submit(SUMS, count=1)
    await host.maintain()
    (message,) = office.sent
    await rows(host.app, "ALTER TABLE app.jobs RENAME COLUMN lease_owner TO away")
    with pytest.raises(Exception, match="lease_owner"):
        await host.handle_received(ReceivedMessage(message_id="x", body=message.body))
    await rows(host.app, "ALTER TABLE app.jobs RENAME COLUMN away TO lease_owner")
    await host.handle_received(ReceivedMessage(message_id="x", body=message.body))
    assert (await counted_events(host.app, submitted.id))["job_started"] == 1
    assert AbandonedError("x", "why").reason == "why"


async def test_the_timer_rescues_and_sends_where_no_worker_runs(host: FunctionsHost, office: PostOffice) -> None:
    await host.maintain()
    submitted = await host.app.submit(SUMS, count=1)
    await host.maintain()
    office.lose()
    await clock_moves(host.app, timedelta(hours=1))
    assert (await host.maintain())["messages_sent"] in {0, 1}  # 0 where the worker in the background was first
    await bring(host, office, "completed")
    assert (await host.app.job(submitted.id))["status"] == "completed"


def test_the_functions_are_one_for_each_queue_and_a_timer(office: PostOffice) -> None:
    settings = Settings(queue_prefix="mine-")
    host = FunctionsHost(AsyncCoreMachine("postgresql://nowhere", jobs=[SUMS], settings=settings, bus=office))
    app = register(func.FunctionApp(), host, connection="ServiceBusConnection")
    made = {one.get_function_name(): one.get_trigger() for one in app.get_functions()}
    assert set(made) == {
        "coremachine_mine_coremachine_jobs",
        "coremachine_mine_coremachine_tasks",
        "coremachine_maintain",
    }
    jobs = made["coremachine_mine_coremachine_jobs"]
    assert jobs is not None
    assert (jobs.queue_name, jobs.connection) == ("mine-coremachine-jobs", "ServiceBusConnection")  # type: ignore[attr-defined]
