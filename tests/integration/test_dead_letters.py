"""Dead letters are read by somebody: each is told on its job's timeline once, and those of no job are counted (F27)."""

from coremachine import Job, Stage, task
from coremachine.runtime.bus.letter import Envelope, Hint, Letter
from coremachine.runtime.bus.port import DeadMessage
from coremachine.runtime.relay import DeadLetterReader
from tests.databases import OpenApp
from tests.observing import events_of
from tests.post_office import PostOffice, envelope_of
from tests.running import working
from tests.waiting import until_event, until_row

QUEUE = "coremachine-tasks"


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


SUMS = Job("sums", [Stage("numbers", numbers)])


def dead_letter_of(job_id: str) -> DeadMessage:
    hint = Hint(kind="task", key="1-0", job_id=job_id, lease_number=0)
    return DeadMessage(envelope_of(Letter(hint=hint, send_number=1), QUEUE), "MaxDeliveryCountExceeded", "ten times")


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
    reader = DeadLetterReader(app.database, office.dead_letters(QUEUE))
    for _ in range(2):
        await reader.tell([dead_letter_of(submitted.id)])
    assert len(await events_of(app, submitted.id, "message_dead_lettered")) == 1
    assert reader.orphans == 0


async def test_dead_letters_of_no_job_are_counted_in_the_heartbeat_and_the_audit(open_app: OpenApp) -> None:
    office = PostOffice()
    app = await open_app(SUMS, bus=office, reconcile=0.2)
    poison = Envelope(message_id="poison", body=b"\x00 not ours", queue=QUEUE)
    office.dead[QUEUE] += [DeadMessage(poison, "NotJson", ""), dead_letter_of("e" * 64)]
    async with working(app):
        row = await until_row(app, "SELECT * FROM app.workers WHERE dead_letters = 2")
    assert (row["bus"], row["unsent_s"]) == ("broker", None)
    (finding,) = (await app.audit()).findings
    assert (finding.id, finding.count) == ("GAP-22", 2)
