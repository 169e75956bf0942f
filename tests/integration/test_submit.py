"""Submission: the same work is one job, however often and from wherever it is submitted."""

import asyncio
from collections.abc import Sequence
from threading import Event
from typing import Any

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.bus.port import Announcement
from coremachine.runtime.errors import UnknownTypeError
from coremachine.runtime.store.session import Session
from coremachine.statemachine.parameters import ParameterError
from tests.databases import OpenApp
from tests.observing import counted_events, everything, rows
from tests.running import finished, work, working
from tests.waiting import until_status


@task
def count_up(n: int, step: int = 1) -> list[int]:
    return list(range(0, n * step, step))


@task
def double(number: int) -> int:
    return 2 * number


@task
def add(numbers: list[int]) -> int:
    return sum(numbers)


@task
def refuse(n: int) -> None:
    raise ValueError(f"{n} is refused")


SUMS = Job("sums", [Stage("plan", count_up), Stage("double", double, each="plan"), Stage("add", add, gather="double")])
REFUSED = Job("refused", [Stage("refuse", refuse)])


async def test_a_second_submission_changes_nothing(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    first = await app.submit(SUMS, n=3)
    before = await everything(app)
    second = await app.submit(SUMS, n=3)
    assert await everything(app) == before
    assert (first.created, first.status) == (True, "queued")
    assert (second.created, second.status, second.id) == (False, "queued", first.id)
    assert f"coremachine timeline {first.id[:12]} --follow" in second.next_step


async def test_a_completed_job_answers_with_its_result_and_how_to_run_it_anew(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    done = await finished(app, SUMS, n=4)
    before = await everything(app)
    again = await app.submit(SUMS, n=4)
    await work(app)
    assert await everything(app) == before
    assert (again.id, again.created, again.status, again.result) == (done["job_id"], False, "completed", 12)
    assert "--key" in again.next_step
    assert "resume" not in again.next_step


async def test_f21_a_failed_job_answers_with_how_to_resume_it_and_is_left_as_it_is(open_app: OpenApp) -> None:
    app = await open_app(REFUSED)
    failed = await finished(app, REFUSED, n=1)
    before = await everything(app)
    again = await app.submit(REFUSED, n=1)
    await work(app)
    assert await everything(app) == before
    assert (again.created, again.status, again.result) == (False, "failed", None)
    assert f"coremachine resume {failed['job_id'][:12]}" in again.next_step
    assert "--key" in again.next_step


async def test_f22_submitting_a_job_that_runs_says_so_and_leaves_it_alone(open_app: OpenApp) -> None:
    gate = Event()

    @task
    def wait_at_the_gate() -> str:
        return "open" if gate.wait(30) else "shut"

    gated = Job("gated", [Stage("wait", wait_at_the_gate)])
    app = await open_app(gated)
    async with working(app):
        first = await app.submit(gated)
        await until_status(app, first.id, "processing")
        again = await app.submit(gated)
        gate.set()
        ended = await until_status(app, first.id, "completed", "failed")
    assert (again.created, again.status) == (False, "processing")
    assert "has not ended" in again.next_step
    assert ended["result"] == "open"
    assert (await counted_events(app, first.id))["task_started"] == 1


async def test_racing_submissions_on_two_applications_make_one_job(open_app: OpenApp) -> None:
    one, other = await open_app(SUMS), await open_app(SUMS)
    answers = await asyncio.gather(*(app.submit(SUMS, n=5) for _ in range(20) for app in (one, other)))
    assert len({answer.id for answer in answers}) == 1
    assert sum(answer.created for answer in answers) == 1
    assert [row["n"] for row in await rows(one, "SELECT count(*) AS n FROM app.jobs")] == [1]
    assert [row["n"] for row in await rows(one, "SELECT count(*) AS n FROM app.stages")] == [3]
    assert await counted_events(one, answers[0].id) == {"job_created": 1, "job_queued": 1}


async def test_a_key_makes_a_job_of_its_own(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    plain = await app.submit(SUMS, n=2)
    november = await app.submit(SUMS, key="2026-11", n=2)
    again = await app.submit(SUMS, key="2026-11", n=2)
    december = await app.submit(SUMS, key="2026-12", n=2)
    assert len({plain.id, november.id, december.id}) == 3
    assert (again.id, again.created) == (november.id, False)
    await work(app)
    assert [row["result"] for row in await rows(app, "SELECT result FROM app.jobs")] == [2, 2, 2]


async def test_a_default_that_is_spelt_out_makes_the_same_job(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    silent, spelt = await app.submit(SUMS, n=2), await app.submit(SUMS, step=1, n=2)
    other = await app.submit(SUMS, n=2, step=3)
    assert silent.id == spelt.id != other.id


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"n": 2, "colour": "red"}, {"colour"}),
        ({"n": True}, {"n"}),
        ({"n": "2"}, {"n"}),
        ({}, {"n"}),
        ({"n": 1.5, "step": None, "size": 3}, {"n", "step", "size"}),
    ],
)
async def test_f20_parameters_are_refused_by_name(
    open_app: OpenApp, parameters: dict[str, Any], names: set[str]
) -> None:
    app = await open_app(SUMS)
    with pytest.raises(ParameterError) as refused:
        await app.submit(SUMS.name, **parameters)
    assert set(refused.value.problems) == names
    assert all(name in str(refused.value) for name in names)
    assert not any((await everything(app)).values())


async def test_a_job_type_that_is_not_declared_is_refused_with_those_that_are(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    with pytest.raises(UnknownTypeError, match=r"job type refused is not declared here; declared: sums"):
        await app.submit(REFUSED, n=1)
    assert not any((await everything(app)).values())


async def test_f01_a_submission_whose_message_cannot_be_sent_leaves_no_job(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(SUMS)

    async def lose(_session: Session, _messages: Sequence[Announcement]) -> None:
        raise ConnectionError("the link is opening")

    with monkeypatch.context() as patched:
        patched.setattr(app.bus, "announce", lose)
        with pytest.raises(ConnectionError):
            await app.submit(SUMS, n=3)
    assert not any((await everything(app)).values())
    assert (await finished(app, SUMS, n=3))["status"] == "completed"


async def test_creation_and_queueing_are_told_once_and_in_one_transaction(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    submitted = await app.submit(SUMS, n=3)
    told = await rows(app, "SELECT event_type, event_status, transaction_id FROM app.job_events ORDER BY event_id")
    assert [(event["event_type"], event["event_status"]) for event in told] == [
        ("job_created", "success"),
        ("job_queued", "success"),
    ]
    assert len({event["transaction_id"] for event in told}) == 1
    await work(app)
    counted = await counted_events(app, submitted.id)
    assert (counted["job_created"], counted["job_queued"], counted["job_started"]) == (1, 1, 1)
