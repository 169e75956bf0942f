"""Dead messages are read by somebody: each is told on its job's timeline once, and those of no job are kept (F27)."""

import json
from datetime import timedelta

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.bus.messages import (
    MessageRef,
    OutgoingMessage,
    ReceivedMessage,
    UnreadableMessageError,
    read_message_ref,
)
from coremachine.runtime.bus.port import DeadLetteredMessage
from coremachine.runtime.relay import DeadLetterReader
from tests.databases import OpenApp
from tests.integration.clock import clock_moves
from tests.observing import events_of, rows
from tests.post_office import PostOffice, received_of
from tests.running import working
from tests.waiting import until_event, until_row

QUEUE = "coremachine-tasks"
POISON = DeadLetteredMessage(
    ReceivedMessage(message_id="poison", body=b"\x00 not ours", queue=QUEUE), "NotJson", "no JSON"
)


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


SUMS = Job("sums", [Stage("numbers", numbers)])


def dead_letter_of(job_id: str) -> DeadLetteredMessage:
    ref = MessageRef(kind="task", key="1-0", job_id=job_id, lease_number=0)
    return DeadLetteredMessage(
        received_of(OutgoingMessage(ref=ref, send_number=1), QUEUE), "MaxDeliveryCountExceeded", "ten times"
    )


async def test_a_dead_letter_is_told_on_its_jobs_timeline_and_in_the_audit_f27(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=1)
    office.dead[QUEUE].append(dead_letter_of(submitted.id))
    async with working(app):
        event = await until_event(app, submitted.id, "message_dead_lettered")
    told = event["event_data"]
    assert (told["reason"], told["description"], told["queue"]) == ("MaxDeliveryCountExceeded", "ten times", QUEUE)
    assert office.dead[QUEUE] == []
    assert [finding.id for finding in (await app.audit()).findings] == ["GAP-22"]


async def test_a_dead_letter_that_comes_twice_is_told_once(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)
    submitted = await app.submit(SUMS, count=1)
    reader = DeadLetterReader(app.database, office.dead_letters(QUEUE), QUEUE)
    for _ in range(2):
        await reader.record([dead_letter_of(submitted.id)])
    assert len(await events_of(app, submitted.id, "message_dead_lettered")) == 1
    assert reader.orphans == 0


async def test_dead_letters_of_no_job_are_in_the_audit_with_reason_queue_and_id(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office)
    office.dead[QUEUE] += [POISON, dead_letter_of("e" * 64)]
    async with working(app):
        await until_row(app, "SELECT 1 FROM app.dead_letters HAVING count(*) = 2")
        await until_row(app, "SELECT 1 FROM app.workers WHERE dead_letters = 2 AND bus = 'broker' AND unsent_s IS NULL")
    (finding,) = (await app.audit()).findings
    assert (finding.id, finding.count) == ("GAP-22", 2)
    details = {example.detail for example in finding.examples}
    assert details == {
        f"NotJson: poison in {QUEUE}",
        f"MaxDeliveryCountExceeded: task:1-0:0:1 in {QUEUE}",
    }


async def test_a_dead_letter_of_no_job_is_kept_when_its_reader_dies_and_once_when_it_comes_again(
    open_app: OpenApp,
) -> None:
    app = await open_app(SUMS, bus=PostOffice())
    for _ in range(2):
        await DeadLetterReader(app.database, PostOffice().dead_letters(QUEUE), QUEUE).record([POISON])
    (kept,) = await rows(app, "SELECT queue, message_id, reason, description FROM app.dead_letters")
    assert tuple(kept.values()) == (QUEUE, "poison", "NotJson", "no JSON")


async def test_a_dead_letter_of_no_job_is_told_of_for_a_week_and_then_forgotten(open_app: OpenApp) -> None:
    app = await open_app(SUMS, bus=PostOffice())
    reader = DeadLetterReader(app.database, PostOffice().dead_letters(QUEUE), QUEUE)
    await reader.record([POISON])
    await clock_moves(app, timedelta(days=6, hours=23))
    assert [finding.id for finding in (await app.audit()).findings] == ["GAP-22"]
    await clock_moves(app, timedelta(hours=2))
    assert (await app.audit()).findings == ()
    await reader.record([dead_letter_of("e" * 64)])
    assert len(await rows(app, "SELECT message_id FROM app.dead_letters")) == 2
    async with app.database.session() as session:
        await session.run("reconciler/retire")  # as a reconciler does
    (kept,) = await rows(app, "SELECT message_id FROM app.dead_letters")
    assert kept["message_id"] == "task:1-0:0:1"


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"v": 2}, "UnknownVersion"), ({"kind": "x"}, "UnknownKind"), ({"pad": "x" * 9_000}, "Oversized")],
)
async def test_a_message_that_cannot_be_claimed_by_is_told_on_the_job_that_it_names(
    open_app: OpenApp, more: dict[str, object], reason: str
) -> None:
    app = await open_app(SUMS, bus=PostOffice())
    submitted = await app.submit(SUMS, count=1)
    body = json.dumps({"v": 1, "kind": "job", "key": submitted.id, "job_id": submitted.id, "lease_number": 0, **more})
    received = ReceivedMessage(message_id="m", body=body.encode(), queue=QUEUE)
    with pytest.raises(UnreadableMessageError, match=reason):
        read_message_ref(received)
    reader = DeadLetterReader(app.database, PostOffice().dead_letters(QUEUE), QUEUE)
    await reader.record([DeadLetteredMessage(received, reason, "")])
    (event,) = await events_of(app, submitted.id, "message_dead_lettered")
    assert event["event_data"]["reason"] == reason
    assert (reader.orphans, await rows(app, "SELECT FROM app.dead_letters")) == (0, [])
