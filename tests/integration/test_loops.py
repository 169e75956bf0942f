"""No loop of a worker dies of one item, and none fails unseen: others can tell from its heartbeat (I16)."""

import logging
from collections.abc import Callable
from types import SimpleNamespace
from uuid import UUID

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.bus.messages import Kind, ReceivedMessage
from coremachine.runtime.bus.port import DeadLetteredMessage
from coremachine.runtime.bus.postgres import PostgresBus
from coremachine.runtime.bus.servicebus.receiver import received_of
from coremachine.runtime.reconciler import Reconciler
from coremachine.runtime.reconciler.steps import Steps
from coremachine.runtime.relay import DeadLetterReader
from coremachine.runtime.store.failures import Failures
from tests.databases import OpenApp
from tests.observing import events_of, rows
from tests.post_office import PostOffice
from tests.running import finished, working
from tests.waiting import until_row, until_status

QUEUE = "coremachine-tasks"


@task
def one(number: int) -> int:
    return number


ONES = Job("ones", [Stage("each", one, each="numbers")])
NOBODYS = Job("nobodys", [Stage("each", one, each="numbers")])


class Unforeseen(Exception):  # noqa: N818 - it is no error of ours
    """What nobody thought of."""


async def test_a_loop_that_fails_begins_again_and_its_worker_goes_on(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listen, times = PostgresBus.listen, [0]

    async def listen_badly(self: PostgresBus, wake: Callable[[Kind], None]) -> None:
        times[0] += 1
        if times[0] < 4:
            raise Unforeseen(f"time {times[0]}")
        await listen(self, wake)

    monkeypatch.setattr(PostgresBus, "listen", listen_badly)
    caplog.set_level(logging.ERROR, logger="coremachine")
    app = await open_app(ONES, reconcile=0.1)
    async with working(app):
        job = await app.submit(ONES, numbers=[1, 2])
        await until_status(app, job.id, "completed")
        heard = await until_row(
            app, "SELECT loops -> 'listener' AS told FROM app.workers WHERE (loops #>> '{listener,times}')::int = 3"
        )
        assert heard["told"]["error"]["type"] == "Unforeseen"
        (finding,) = [one for one in (await app.audit()).findings if one.id == "GAP-32"]
        assert finding.examples[0].subject.endswith(", listener")
        submitter = await open_app(NOBODYS)
        other = await submitter.submit(NOBODYS, numbers=[1])
        why = await app.why(other.id)
    assert any("the listener of worker" in wait and "time 3" in wait for wait in why.waits_for)
    told = [record for record in caplog.records if "a loop of the worker failed" in record.getMessage()]
    assert [record.exc_info is not None for record in told] == [True, True]  # the first and the second, not the third


async def test_a_step_that_fails_keeps_no_other_step_from_its_turn(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Steps) -> int:
        raise Unforeseen("no rescue today")

    monkeypatch.setattr(Steps, "_rescue_tasks", fail)
    app = await open_app(ONES)
    job = await finished(app, ONES, numbers=[1])
    await rows(app, "UPDATE app.workers SET stopped_at = now()")
    idle = await app.submit(ONES, numbers=[2])
    await rows(
        app, "UPDATE app.jobs SET deadline = '1 s', deadline_at = now() - interval '1 s' WHERE job_id = %s", idle.id
    )
    failures = Failures()
    reconciler = Reconciler(app.database, app.bus, "finder", app.settings, failures=failures)
    found = await reconciler.run_once()
    assert (found["tasks_rescued"], found["jobs_overdue"]) == (0, 1)
    assert list(failures.as_json()) == ["reconciler, tasks_rescued"]
    assert (await app.job(job["job_id"]))["status"] == "completed"
    monkeypatch.undo()
    await reconciler.run_once()
    assert failures.as_json() == {}


IDS = {
    "a number": (7, "7"),
    "a uuid": (UUID(int=5), str(UUID(int=5))),
    "bytes": (b"\xff7", "\ufffd7"),
    "none": (None, ""),
}


@pytest.mark.parametrize("given", IDS)
def test_f50_a_message_id_of_any_type_is_read_as_text(given: str) -> None:
    came, expected = IDS[given]
    message = SimpleNamespace(
        application_properties=None, message_id=came, body=[b"{}"], delivery_count=0, locked_until_utc=None
    )
    assert received_of(message, QUEUE).message_id == expected  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_f50_a_dead_letter_that_cannot_be_told_of_keeps_no_other_from_it(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="coremachine")
    office = PostOffice()
    app = await open_app(ONES, bus=office)
    job = await app.submit(ONES, numbers=[1])
    body = ('{"v":1,"kind":"job","key":"%s","job_id":"%s","lease_number":0}' % (job.id, job.id)).encode()  # noqa: UP031
    odd = DeadLetteredMessage(ReceivedMessage(message_id=7, body=body, queue=QUEUE), "Odd", "")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    good = DeadLetteredMessage(ReceivedMessage(message_id="good", body=body, queue=QUEUE), "Good", "")
    office.dead[QUEUE] += [good, odd, good]
    async with working(app):
        await until_row(app, "SELECT FROM app.set_aside WHERE step = 'read dead letter' AND item = '7'")
        await until_status(app, job.id, "completed")
    told = await events_of(app, job.id, "message_dead_lettered")
    assert [event["event_data"]["message_id"] for event in told] == ["good"]
    assert odd in office.dead[QUEUE]
    assert good not in office.dead[QUEUE]


async def test_two_copies_of_a_dead_letter_in_one_batch_are_told_once(open_app: OpenApp) -> None:
    app = await open_app(ONES, bus=PostOffice())
    job = await app.submit(ONES, numbers=[1])
    body = ('{"v":1,"kind":"job","key":"%s","job_id":"%s","lease_number":0}' % (job.id, job.id)).encode()  # noqa: UP031
    copy = DeadLetteredMessage(ReceivedMessage(message_id="m", body=body, queue=QUEUE), "Copy", "")
    await DeadLetterReader(app.database, PostOffice().dead_letters(QUEUE), QUEUE).record([copy, copy])
    assert len(await events_of(app, job.id, "message_dead_lettered")) == 1
