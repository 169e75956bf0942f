"""The checks of the soak find each problem, and no other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coremachine import TaskContext
from coremachine.runtime.soak.check import check_job, log_of, longest_standstill
from coremachine.runtime.soak.jobs import expected_result
from coremachine.runtime.soak.plan import BEHAVIOURS, planned_outcome
from coremachine.runtime.soak.side_effects import Line, read_lines, record_line
from coremachine.runtime.soak.snapshot import JobSnapshot, Requests

SMOOTH, FAILS_FIRST, HANGS_FIRST = 1, 2, 21
AT = datetime(2026, 11, 1, tzinfo=UTC)
Change = Callable[[JobSnapshot], JobSnapshot]


def event(number: int, kind: str, task_id: str | None = None, **more: Any) -> dict[str, Any]:
    known = {"stage": None, "attempt": 1 if task_id else None, "lease_number": 1 if task_id else None}
    return {
        "event_id": number,
        "event_type": kind,
        "event_status": "success",
        "event_data": {},
        "task_id": task_id,
        "created_at": AT + timedelta(seconds=number),
        **known,
        **more,
    }


def job_snapshot(seed: int = SMOOTH) -> JobSnapshot:
    """A soak_slow job that ran without any problem: two stages with a task each."""
    kinds = [("task_started", "1-0"), ("task_completed", "1-0"), ("task_started", "2-0"), ("task_completed", "2-0")]
    events = [
        event(1, "job_created"),
        event(2, "job_queued"),
        *(event(3 + n, kind, key, stage=int(key[0])) for n, (kind, key) in enumerate(kinds)),
        event(7, "job_completed"),
    ]
    task: dict[str, Any] = {"status": "completed", "task_index": 0, "lease_number": 1, "rescues": 0, "max_rescues": 3}
    return JobSnapshot(
        job={
            "job_type": "soak_slow",
            "status": "completed",
            "parameters": {"seed": seed},
            "result": expected_result("soak_slow", seed),
            "error": None,
        },
        stages=[
            {"name": name, "status": "completed", "tasks_failed": 0, "definition": {"timeout": 10.0}}
            for name in ("first", "second")
        ],
        tasks=[{**task, "task_id": f"{n}-0", "stage": n, "task_number": n} for n in (1, 2)],
        callbacks=[],
        events=events,
        lines=[Line(what, key, 1, 1) for key in ("1-0", "2-0") for what in ("start", "effect")],
    )


def retried(kind: str = "PlannedError", took: float = 1.0) -> JobSnapshot:
    """The same, where the first attempt of the first task has failed with an error of that type."""
    whole = job_snapshot(FAILS_FIRST if kind == "PlannedError" else HANGS_FIRST)
    error = {"type": kind, "message": "no"}
    again = [
        event(3, "task_started", "1-0", stage=1),
        event(4, "task_retry_scheduled", "1-0", stage=1, event_data={"error": error, "attempt": 1, "of": 3}),
        event(5, "task_started", "1-0", stage=1, attempt=2, lease_number=2),
        event(6, "task_completed", "1-0", stage=1, attempt=2, lease_number=2),
    ]
    again[1]["created_at"] = again[0]["created_at"] + timedelta(seconds=took)
    rest = [
        replace_row(one, event_id=one["event_id"] + 5, created_at=AT + timedelta(seconds=30 + one["event_id"]))
        for one in whole.events[4:]
    ]
    lines = [Line("start", "1-0", 1, 1), Line("start", "1-0", 2, 2), Line("effect", "1-0", 2, 2), *whole.lines[2:]]
    tasks = [replace_row(whole.tasks[0], lease_number=2), whole.tasks[1]]
    return replace(whole, events=[*whole.events[:2], *again, *rest], lines=lines, tasks=tasks)


def replace_row(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**row, **more}


def with_lines(*lines: Line) -> Change:
    return lambda whole: replace(whole, lines=lines)


def with_more_lines(*lines: Line) -> Change:
    return lambda whole: replace(whole, lines=[*whole.lines, *lines])


def with_job(**more: Any) -> Change:
    return lambda whole: replace(whole, job=replace_row(whole.job, **more))


def with_task(**more: Any) -> Change:
    return lambda whole: replace(whole, tasks=[replace_row(whole.tasks[0], **more), *whole.tasks[1:]])


def with_event(number: int, kind: str, task_id: str | None = None, **more: Any) -> Change:
    """Another event, or the one of that number replaced."""

    def change(whole: JobSnapshot) -> JobSnapshot:
        others = [one for one in whole.events if one["event_id"] != number]
        events = sorted([*others, event(number, kind, task_id, **more)], key=lambda one: int(one["event_id"]))
        return replace(whole, events=events)

    return change


def error_data(kind: str, attempt: int = 1, of: int = 3) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "it broke"}, "attempt": attempt, "of": of}


def test_a_job_without_problems_has_none() -> None:
    assert check_job(job_snapshot()) == []
    assert check_job(retried()) == []
    assert check_job(retried("HandlerTimeoutError")) == []


DAMAGES: Sequence[tuple[Change, str]] = [
    (with_lines(*job_snapshot().lines[:3]), "completed under lease 1, but has effects under []"),
    (with_lines(), "completed under lease 1, but has effects under []"),
    (with_more_lines(Line("start", "1-0", 1, 1)), "wrote start 2 times under lease 1"),
    (with_more_lines(Line("start", "1-0", 1, 2)), "wrote start under lease 2, which was never claimed"),
    (with_lines(*job_snapshot().lines[1:]), "wrote an effect under lease 1, but had not started"),
    (with_more_lines(Line("start", "9-0", 1, 1)), "task 9-0 wrote a line, but there is no such task"),
    (with_task(lease_number=2), "it has lease number 2, but was claimed as [1]"),
    (with_task(status="processing"), "it is processing"),
    (with_task(status="failed"), "it is failed with 1 task_completed"),
    (with_job(result=99), "the result is 99, not"),
    (with_job(status="processing"), "the job is processing"),
    (with_job(status="cancelled"), "the job is cancelled, but nobody requested that"),
    (
        with_job(status="failed", error={"type": "KeyError", "message": "x"}),
        "the job failed, which was not planned: KeyError: x",
    ),
    (with_event(8, "job_created"), "the job was created 2 times, queued 1 times and resumed 0 times"),
    (with_event(2, "job_started"), "the job was created 1 times, queued 0 times and resumed 0 times"),
    (with_event(8, "job_resumed"), "the job was resumed 1 times, after 0 requests"),
    (
        with_event(8, "task_failed", "1-0", stage=1, event_data=error_data("KeyError", of=1)),
        "attempt 1 was planned to succeed, but failed with KeyError: it broke",
    ),
    (
        with_event(8, "task_failed", "1-0", stage=1, event_data=error_data("LeaseExpired")),
        "it failed for good after 0 rescues of 3",
    ),
    (
        with_event(8, "task_failed", "1-0", stage=1, event_data=error_data("PlannedError")),
        "attempt 1 of 3 was treated as the last one",
    ),
    (lambda whole: replace(whole, callbacks=[{"status": "completed"}]), "and has 1 callbacks"),
    (with_more_lines(Line("callback-start")), "the callback ran 1 times, but was claimed 0 times"),
    (
        lambda whole: replace(
            whole, job=replace_row(whole.job, job_type="soak_waves"), callbacks=[{"status": "completed"}]
        ),
        "the callback is completed with 0 effects, and was recorded as []",
    ),
    (
        lambda whole: replace(
            whole, job=replace_row(whole.job, job_type="soak_waves"), callbacks=[{"status": "queued"}]
        ),
        "the callback is queued",
    ),
]


@pytest.mark.parametrize(("change", "words"), DAMAGES, ids=[words for _, words in DAMAGES])
def test_each_problem_is_found(change: Change, words: str) -> None:
    assert [problem for problem in check_job(change(job_snapshot())) if words in problem]


def test_a_claim_that_was_not_taken_back_is_a_problem() -> None:
    whole = retried()
    events = [one for one in whole.events if one["event_type"] != "task_retry_scheduled"]
    assert any("claimed again after lease 1" in problem for problem in check_job(replace(whole, events=events)))


def test_an_attempt_that_was_planned_to_fail_and_completed_is_a_problem() -> None:
    assert any(
        "was completed at attempt 1, which was planned to fail" in problem
        for problem in check_job(job_snapshot(FAILS_FIRST))
    )


def test_an_unplanned_timeout_is_no_problem_if_the_time_was_over() -> None:
    def of(took: float) -> list[str]:
        slow = replace_row(retried("HandlerTimeoutError", took).job, parameters={"seed": SMOOTH})
        return [
            one
            for one in check_job(replace(retried("HandlerTimeoutError", took), job=slow))
            if "was planned to succeed" in one
        ]

    assert of(10.5) == []
    assert of(9.5)


def test_a_requested_cancellation_is_no_violation() -> None:
    whole = replace(job_snapshot(), requests=Requests(cancels=1))
    assert check_job(with_job(status="cancelled")(whole)) == []


def test_standstill_counts_only_while_the_job_is_open() -> None:
    whole = job_snapshot()
    late = with_event(90, "job_resumed")(with_event(8, "job_failed")(whole))
    assert longest_standstill(whole.events) == 1
    assert longest_standstill(late.events) == 1
    assert longest_standstill(with_event(50, "job_failed")(replace(whole, events=whole.events[:-1])).events) == 44


def test_the_log_of_a_job_shows_events_and_lines() -> None:
    log = log_of(job_snapshot())
    assert any("task_completed task_id=1-0 stage=1 attempt=1 lease_number=1" in line for line in log)
    assert log[-1] == "outside: effect 2-0 attempt 1 lease 1"


@pytest.mark.parametrize("stage", sorted(BEHAVIOURS))
def test_every_attempt_has_one_outcome_and_some_attempt_succeeds(stage: str) -> None:
    behaviour = BEHAVIOURS[stage]
    for seed in range(200):
        outcomes = [planned_outcome(seed, stage, 0, attempt) for attempt in range(1, behaviour.attempts + 2)]
        assert outcomes == [planned_outcome(seed, stage, 0, attempt) for attempt in range(1, behaviour.attempts + 2)]
        assert outcomes[-1] == "succeed"
        assert outcomes[-2] == "succeed" or set(outcomes[:-1]) == {"fail"}


def test_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    assert read_lines(file) == ()
    record_line(str(file), "start", TaskContext(task_id="7-0", attempt=2, lease_number=3))
    record_line(str(file), "finalize")
    assert read_lines(file) == (Line("start", "7-0", 2, 3), Line("finalize"))
