"""The outbox: queued rows are sent at least once, however the relay dies, and no copy of a message does harm."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.messages import MessageRef, OutgoingMessage, ReceivedMessage
from coremachine.runtime.bus.settlement import Complete, DeadLetter, Redirect
from coremachine.runtime.errors import BrokerError
from coremachine.runtime.relay import Relay
from coremachine.runtime.relay.outbox import redirect
from coremachine.runtime.worker.broker_loops import send_times
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.integration.clock import clock_moves
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.post_office import PostOffice, received_of, refuse
from tests.running import work, working
from tests.waiting import until, until_event, until_row, until_status

LATER = Backoff(first=60.0, factor=1, most=60.0, jitter=0)
JOBS, TASKS = "coremachine-jobs", "coremachine-tasks"


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def double(number: int) -> int:
    return 2 * number


@task
def add(numbers: list[int]) -> int:
    return sum(numbers)


@task(retries=1, backoff=LATER)
def fail_once(count: int) -> NoReturn:
    raise ValueError(f"{count} is too much")


async def thank(job_id: str) -> None:
    assert job_id


SUMS = Job(
    "sums",
    [Stage("numbers", numbers), Stage("double", double, each="numbers"), Stage("add", add, gather="double")],
    on_job_complete=thank,
)
FAILING = Job("failing", [Stage("fail", fail_once)])


class DiedError(BaseException):
    """The process is gone at this point."""


async def die(_: Sequence[OutgoingMessage]) -> None:
    raise DiedError


def relay_of(app: AsyncCoreMachine, office: PostOffice, route: int = 0) -> Relay:
    routes = app.bus.routes
    sending = send_times(app.settings)
    return Relay(app.database, routes[route], office.sender(routes[route].queue), sending, app.settings.poll)


async def job_row(app: AsyncCoreMachine, job_id: str) -> dict[str, object]:
    (row,) = await rows(app, "SELECT *, app.clock() AS now FROM app.jobs WHERE job_id = %s", job_id)
    return row


async def due_in(app: AsyncCoreMachine, job_id: str) -> float:
    statement = "SELECT extract(epoch FROM due_at - app.clock())::float8 AS seconds FROM app.jobs WHERE job_id = %s"
    (row,) = await rows(app, statement, job_id)
    return float(row["seconds"])


async def test_a_job_runs_to_its_end_over_a_broker_and_leaves_nothing_behind_f01(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=5)
    await work(app)
    assert (await app.job(submitted.id))["result"] == 20
    told = await counted_events(app, submitted.id)
    assert (told["job_queued"], told["task_completed"], told["callback_executed"]) == (1, 7, 1)
    assert (await app.audit()).findings == ()
    ids = [message.message_id for message in office.sent]
    assert len(ids) == len(set(ids))


async def test_nothing_is_sent_and_no_job_is_said_to_be_queued_before_a_relay_has_sent_it(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=5)
    assert (office.sent, (await counted_events(app, submitted.id))["job_queued"]) == ([], 0)
    assert await relay_of(app, office).run_once() == 1
    assert (await counted_events(app, submitted.id))["job_queued"] == 1
    assert office.sent[0].message_id == f"job:{submitted.id}:0:1"


async def test_workers_connect_to_each_queue_before_there_is_something_to_send(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)

    async def connected() -> bool:
        return office.connected == {JOBS, TASKS}

    async with working(app):
        await until(connected, "both senders are open")
    assert office.sent == []


async def test_a_relay_that_dies_between_taking_and_sending_leaves_a_row_that_is_sent_soon(open_app: OpenApp) -> None:
    office = PostOffice(before=[die])
    app = await open_app(SUMS, bus=office, relay_lease=5.0)
    submitted = await app.submit(SUMS, count=5)
    with pytest.raises(DiedError):
        await relay_of(app, office).run_once()
    assert 0 < await due_in(app, submitted.id) <= 5
    assert await relay_of(app, office).run_once() == 0
    await clock_moves(app, timedelta(seconds=6))
    assert await relay_of(app, office).run_once() == 1
    assert [message.send_number for message in office.sent] == [2]
    assert (await counted_events(app, submitted.id))["job_queued"] == 1


async def test_a_relay_that_dies_between_sending_and_confirming_sends_a_copy_that_does_no_harm(
    open_app: OpenApp,
) -> None:
    office = PostOffice(after=[die])
    app = await open_app(SUMS, bus=office, relay_lease=5.0)
    submitted = await app.submit(SUMS, count=5)
    with pytest.raises(DiedError):
        await relay_of(app, office).run_once()
    await clock_moves(app, timedelta(seconds=6))
    assert await relay_of(app, office).run_once() == 1
    assert [message.send_number for message in office.sent] == [1, 2]
    await work(app)
    told = await counted_events(app, submitted.id)
    assert (told["job_queued"], told["job_started"], told["task_completed"], told["job_completed"]) == (1, 1, 7, 1)


async def test_a_send_that_fails_is_tried_again_with_the_same_ids(open_app: OpenApp) -> None:
    office = PostOffice(before=[refuse], after=[refuse])
    app = await open_app(SUMS, bus=office)
    await app.submit(SUMS, count=5)
    assert await relay_of(app, office).run_once() == 1
    assert len(office.sent) == 2
    assert len({message.message_id for message in office.sent}) == 1


async def test_a_send_that_goes_on_failing_leaves_the_row_due_with_another_send_number(open_app: OpenApp) -> None:
    office = PostOffice(before=[refuse] * 50)
    app = await open_app(SUMS, bus=office, relay_lease=0.4)
    submitted = await app.submit(SUMS, count=5)
    with pytest.raises(BrokerError):
        await relay_of(app, office).run_once()
    office.before.clear()
    assert (await counted_events(app, submitted.id))["job_queued"] == 0
    await clock_moves(app, timedelta(seconds=1))
    assert await relay_of(app, office).run_once() == 1
    assert office.sent[-1].send_number == 2


async def test_a_lost_message_is_sent_again_ever_later_and_counts_no_attempt(open_app: OpenApp) -> None:
    office = PostOffice(loses=lambda _: True)
    app = await open_app(SUMS, bus=office, resend=300)
    submitted = await app.submit(SUMS, count=5)
    expected = 300.0
    for number in (1, 2, 3):
        assert await relay_of(app, office).run_once() == 1
        assert office.sent[-1].send_number == number
        assert expected - 30 < await due_in(app, submitted.id) <= expected
        await clock_moves(app, timedelta(seconds=expected - 60))
        assert await relay_of(app, office).run_once() == 0
        await clock_moves(app, timedelta(seconds=61))
        expected *= 2
    row = await job_row(app, submitted.id)
    assert (row["status"], row["lease_number"]) == ("queued", 0)
    assert (await counted_events(app, submitted.id))["job_queued"] == 1


async def test_no_message_is_sent_again_later_than_in_an_hour(open_app: OpenApp) -> None:
    office = PostOffice(loses=lambda _: True)
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=5)
    await rows(app, "UPDATE app.jobs SET send_number = 40")
    await relay_of(app, office).run_once()
    assert 3_500 < await due_in(app, submitted.id) <= 3_600


async def test_a_long_backlog_is_sent_again_and_no_task_is_failed_or_counts_an_attempt_f13(open_app: OpenApp) -> None:
    keys: list[str] = []

    def of_the_second_stage(message: OutgoingMessage) -> bool:
        keys.extend([message.ref.key] if message.ref.kind == "task" else [])
        return message.ref.kind == "task" and message.ref.key != keys[0]

    office = PostOffice(loses=of_the_second_stage)
    app = await open_app(SUMS, bus=office, resend=300)
    submitted = await app.submit(SUMS, count=200)
    async with working(app):
        await until_event(app, submitted.id, "stage_started", number=2)
    for _ in range(4):
        await relay_of(app, office, 1).run_once()
        await clock_moves(app, timedelta(hours=1))
    waiting = await tasks_of(app, submitted.id, 2)
    assert len(waiting) == 200
    assert {(one["status"], one["attempt"], one["rescues"]) for one in waiting} == {("queued", 1, 0)}
    office.loses = lambda _: False
    await work(app)
    job = await app.job(submitted.id)
    assert (job["status"], job["result"]) == ("completed", 200 * 199)
    assert (await counted_events(app, submitted.id))["task_completed"] == 202


async def test_every_message_twice_runs_every_task_once_f03_f04(open_app: OpenApp) -> None:
    office = PostOffice()

    async def twice(messages: Sequence[OutgoingMessage]) -> None:
        office.after.append(twice)
        for message in messages:
            queue = TASKS if message.ref.kind == "task" else JOBS
            office.put(queue, received_of(message))

    office.after.append(twice)
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=20)
    await work(app)
    told = await counted_events(app, submitted.id)
    assert (told["task_started"], told["task_completed"], told["callback_executed"]) == (22, 22, 1)
    assert (told["stage_completed"], told["job_completed"]) == (3, 1)


async def test_a_message_of_an_earlier_lease_does_not_pass_by_a_back_off(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(FAILING, bus=office, horizon=0)
    submitted = await app.submit(FAILING, count=1)
    async with working(app):
        await until_event(app, submitted.id, "task_retry_scheduled")
        (first,) = [message for message in office.sent if message.ref.kind == "task"]
        office.put(TASKS, received_of(first))

        async def settled_twice() -> bool:
            return len([one for one, _ in office.settled if one.message_id == first.message_id]) == 2

        await until(settled_twice, "the copy is settled")
    (row,) = await tasks_of(app, submitted.id)
    assert (row["status"], row["lease_number"], row["attempt"]) == ("queued", 1, 2)
    copy = [settlement for one, settlement in office.settled if one.message_id == first.message_id][1]
    assert isinstance(copy, Complete)
    assert "its lease number is 1" in copy.reason


async def test_a_retry_within_the_horizon_is_sent_ahead_for_the_broker_to_hold_back(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(FAILING, bus=office, horizon=120)
    submitted = await app.submit(FAILING, count=1)
    async with working(app):
        await until_event(app, submitted.id, "task_retry_scheduled")
    await relay_of(app, office, 1).run_once()
    second = office.sent[-1]
    assert (second.ref.lease_number, second.send_number) == (1, 1)
    assert 30 < second.delay <= 60
    (row,) = await rows(app, "SELECT due_at - app.clock() > interval '330 s' AS after_it FROM app.tasks")
    assert row["after_it"]
    assert await relay_of(app, office, 1).run_once() == 0


async def failed_over_the_post_office(app: AsyncCoreMachine, office: PostOffice, job_id: str) -> None:
    """Run the failing job to its end: the post office holds nothing back, so its retry comes at once."""
    async with working(app):
        await until_event(app, job_id, "task_retry_scheduled")
        await relay_of(app, office, 1).run_once()
        await until_event(app, job_id, "job_failed")


async def test_a_message_that_comes_before_its_time_is_handled_all_the_same(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(FAILING, bus=office, horizon=120)
    submitted = await app.submit(FAILING, count=1)
    await failed_over_the_post_office(app, office, submitted.id)
    told = await counted_events(app, submitted.id)
    assert (told["task_started"], told["task_failed"], told["job_failed"]) == (2, 1, 1)


async def test_a_resumed_job_is_told_to_be_queued_once_more(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(FAILING, bus=office, horizon=120)
    submitted = await app.submit(FAILING, count=1)
    await failed_over_the_post_office(app, office, submitted.id)
    await app.resume(submitted.id)
    assert (await counted_events(app, submitted.id))["job_queued"] == 1
    async with working(app):
        await until_event(app, submitted.id, "stage_started", number=2)
    types = [one["event_type"] for one in await events_of(app, submitted.id)]
    assert types.count("job_queued") == 2
    again = types.index("job_resumed")
    assert types.index("job_queued", again) < types.index("job_started", again)
    ids = [message.message_id for message in office.sent]
    assert len(ids) == len(set(ids))


async def test_a_claim_waits_for_the_relay_that_is_just_confirming(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=1)
    await relay_of(app, office).run_once()
    async with await app.database.connection("confirming") as other, other.transaction():
        await other.execute("SELECT 1 FROM app.jobs WHERE job_id = %s FOR NO KEY UPDATE", (submitted.id,))
        running = asyncio.create_task(work(app))
        await until_row(
            app, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await other.execute("UPDATE app.jobs SET due_at = due_at + interval '1 s' WHERE job_id = %s", (submitted.id,))
    await running
    assert (await app.job(submitted.id))["status"] == "completed"
    assert [message.message_id for message in office.sent].count(f"job:{submitted.id}:0:2") == 0


async def test_a_job_message_whose_worker_is_gone_is_sent_again(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=1)
    await rows(
        app,
        "UPDATE app.jobs SET lease_number = 1, lease_owner = 'gone', due_at = app.clock() - interval '1 s',"
        " lease_expires_at = app.clock() - interval '1 s'",
    )
    assert await relay_of(app, office).run_once() == 1
    assert (await job_row(app, submitted.id))["lease_owner"] is None
    await work(app)
    assert (await app.job(submitted.id))["status"] == "completed"


async def test_a_message_that_is_being_handled_is_not_sent_ahead_of_its_leases_end(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office, horizon=3600)
    await app.submit(SUMS, count=1)
    await rows(
        app,
        "UPDATE app.jobs SET lease_number = 1, lease_owner = 'busy', due_at = app.clock() + interval '9 s',"
        " lease_expires_at = app.clock() + interval '9 s'",
    )
    assert await relay_of(app, office).run_once() == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff not json", "NotJson"),
        (b"[]", "NotAMessage"),
        (b'{"v":2,"kind":"job"}', "UnknownVersion"),
        (b'{"v":1,"kind":"stage"}', "UnknownKind"),
        (b'{"v":1,"kind":"job","key":"","job_id":"x","lease_number":0}', "NotAMessage"),
        (b'{"v":1,"kind":"task","key":"1-0","job_id":"x","lease_number":true}', "NotAMessage"),
        (b'{"v":1,"kind":"callback","key":"x","job_id":"x","lease_number":0}', "NotAMessage"),
        (b"1" * 5_000, "Oversized"),
        (
            OutgoingMessage(
                ref=MessageRef(kind="job", key="f" * 64, job_id="f" * 64, lease_number=0), send_number=1
            ).body,
            "NoSuchRow",
        ),
        (
            OutgoingMessage(
                ref=MessageRef(kind="task", key="9-9", job_id="f" * 64, lease_number=0), send_number=1
            ).body,
            "NoSuchRow",
        ),
        (
            OutgoingMessage(
                ref=MessageRef(kind="callback", key="9", job_id="f" * 64, lease_number=0), send_number=1
            ).body,
            "NoSuchRow",
        ),
    ],
)
async def test_a_message_that_nobody_could_handle_is_a_dead_letter_with_its_reason_f27(
    open_app: OpenApp, body: bytes, reason: str
) -> None:
    office = PostOffice()
    office.put(JOBS, ReceivedMessage(message_id="poison", body=body))
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=2)
    await work(app)
    assert (await app.job(submitted.id))["status"] == "completed"
    (settlement,) = [settlement for one, settlement in office.settled if one.message_id == "poison"]
    assert isinstance(settlement, DeadLetter)
    assert (settlement.reason, bool(settlement.description)) == (reason, True)


async def test_a_message_for_another_worker_is_sent_anew_and_wears_out_no_delivery_f46(open_app: OpenApp) -> None:
    office = PostOffice()
    knows = await open_app(FAILING, SUMS, bus=office)
    does_not = await open_app(SUMS, bus=office)
    submitted = await knows.submit(FAILING, count=1)
    await relay_of(knows, office).run_once()
    async with working(does_not):

        async def settled() -> bool:
            return bool(office.settled)

        await until(settled, "the message is settled")
    ((received, settlement),) = office.settled
    assert isinstance(settlement, Redirect)
    assert received.delivery_count == 0
    assert 0 < await due_in(knows, submitted.id) <= 5
    await clock_moves(knows, timedelta(seconds=6))
    async with working(knows):
        await until_status(knows, submitted.id, "processing")


async def test_why_says_that_the_broker_has_the_message_and_when_it_is_sent_again(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office, resend=300)
    submitted = await app.submit(SUMS, count=2)
    await relay_of(app, office).run_once()
    (wait,) = (await app.why(submitted.id)).waits_for
    assert wait.startswith("its message, sent to the broker; again in 5 min unless a worker claims it")
    async with working(app):
        await until_event(app, submitted.id, "callback_executed")


async def test_a_late_confirmation_does_not_overrule_a_redirection(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=1)

    async def redirected(messages: Sequence[OutgoingMessage]) -> None:
        async with app.database.transaction() as session:
            assert await redirect(session, messages[0].ref, 5.0)

    office.after.append(redirected)
    await relay_of(app, office).run_once()
    assert 0 < await due_in(app, submitted.id) <= 5


async def test_the_heartbeat_tells_for_how_long_nothing_could_be_sent_gap_30(open_app: OpenApp) -> None:
    office = PostOffice()

    async def never(_: Sequence[OutgoingMessage]) -> None:
        office.before.append(never)
        raise BrokerError("sending", "the queue does not exist", lasting=True)

    office.before.append(never)
    app = await open_app(SUMS, bus=office, reconcile=0.1, relay_lease=0.3)
    submitted = await app.submit(SUMS, count=1)
    async with working(app):
        row = await until_row(app, "SELECT * FROM app.workers WHERE unsent_s > 0.5")
        assert row["bus"] == "broker"
        office.before.clear()
        await until_event(app, submitted.id, "callback_executed")
        await until_row(app, "SELECT * FROM app.workers WHERE unsent_s IS NULL")


async def test_a_job_message_of_an_earlier_lease_does_not_pass_by_a_back_off_either(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office, horizon=0)
    submitted = await app.submit(SUMS, count=1)
    await relay_of(app, office).run_once()
    await rows(app, "UPDATE app.jobs SET lease_number = 1, send_number = 0, due_at = app.clock() + interval '60 s'")
    async with working(app):

        async def settled() -> bool:
            return bool(office.settled)

        await until(settled, "the message is settled")
    ((_, settlement),) = office.settled
    assert isinstance(settlement, Complete)
    assert (await job_row(app, submitted.id))["lease_number"] == 1
    assert 30 < await due_in(app, submitted.id) <= 60
