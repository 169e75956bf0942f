"""Messages that nobody could ever handle, on the real SDK: each ends as a dead letter that somebody hears of."""

import asyncio
import json

from azure.servicebus import ServiceBusMessage

from coremachine import Job, Stage, task
from tests.integration.servicebus.conftest import Queues
from tests.observing import events_of, rows
from tests.running import working
from tests.servicebus.fixtures import AioBus
from tests.waiting import until_event, until_row

UNKNOWN = "e" * 64


@task
def number() -> int:
    return 1


NUMBER = Job("number", [Stage("number", number)])


def poisons(job_id: str) -> dict[str, bytes]:
    """The four, by message id; two of them name a job that there is."""
    hint = {"v": 1, "kind": "job", "key": job_id, "job_id": job_id, "lease_number": 0}
    return {
        "garbage": b"\x00\xff no JSON",
        "version": json.dumps({**hint, "v": 2}).encode(),
        "stranger": json.dumps({**hint, "key": UNKNOWN, "job_id": UNKNOWN}).encode(),
        "huge": json.dumps({**hint, "pad": "x" * 300_000}).encode(),
    }


async def test_each_poison_is_a_dead_letter_with_a_reason_in_the_audit_and_on_the_timeline_of_its_job(
    queues: Queues, aio_bus: AioBus
) -> None:
    queues.broker.configure(queues.jobs, max_message_size=1_000_000)
    app = await queues.open_app(NUMBER)
    submitted = await app.submit(NUMBER)
    sender = aio_bus.sender(queues.jobs)
    for message_id, body in poisons(submitted.id).items():
        await sender.send_messages(ServiceBusMessage(body, message_id=message_id))
    async with working(app):
        await until_event(app, submitted.id, "message_dead_lettered", number=2)
        await until_row(app, "SELECT 1 FROM app.dead_letters HAVING count(*) = 2")
        await until_event(app, submitted.id, "job_completed")
        grave = f"{queues.jobs}/$DeadLetterQueue"
        await asyncio.to_thread(queues.broker.until, grave, lambda counts: counts.completed == 4, "they are removed")
    assert queues.broker.counters(queues.jobs).dead_lettered == 4
    told = await events_of(app, submitted.id, "message_dead_lettered")
    by_id = {event["event_data"]["message_id"]: event["event_data"]["reason"] for event in told}
    assert by_id == {"version": "UnknownVersion", "huge": "Oversized"}
    kept = await rows(app, "SELECT message_id, reason, queue FROM app.dead_letters ORDER BY message_id")
    assert [tuple(row.values()) for row in kept] == [
        ("garbage", "NotJson", queues.jobs),
        ("stranger", "NoSuchRow", queues.jobs),
    ]
    (finding,) = (await app.audit()).findings
    assert (finding.id, finding.count) == ("GAP-22", 4)
    details = " ".join(example.detail for example in finding.examples)
    for reason in ("NotJson", "UnknownVersion", "NoSuchRow", "Oversized"):
        assert reason in details
