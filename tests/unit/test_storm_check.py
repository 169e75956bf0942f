"""The checks of the storm notice a wrong result, a missing effect, a wrong counter and a stuck job."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coremachine import TaskContext
from coremachine.runtime.soak.check import longest_standstill
from tests.storm.check import check_job, late_effects, repeated_runs, stuck
from tests.storm.plan import STAGES, is_doomed, numbers, planned_end, planned_result, tasks_of
from tests.storm.side_effects import Line, read_lines, record_line
from tests.storm.snapshot import JobSnapshot

AT = datetime(2026, 11, 1, tzinfo=UTC)
JOB_TYPE = "storm_twice"
Change = Callable[[JobSnapshot], JobSnapshot]


def seed_that(end: str) -> int:
    """The first seed with which the job ends so."""
    return next(seed for seed in range(1000) if planned_end(JOB_TYPE, seed) == end)


SEED = seed_that("completed")


def job_snapshot() -> JobSnapshot:
    """A job that ran without any problem, with one event each second."""
    places = [(n, index) for n, name in enumerate(STAGES[JOB_TYPE], 1) for index in range(tasks_of(name, SEED))]
    events = [event(number, "task_completed", f"{n}-{index}") for number, (n, index) in enumerate(places)]
    return JobSnapshot(
        job={
            "job_type": JOB_TYPE,
            "status": "completed",
            "parameters": {"seed": SEED},
            "result": planned_result(JOB_TYPE, SEED),
            "error": None,
        },
        stages=[stage(n, name) for n, name in enumerate(STAGES[JOB_TYPE], 1)],
        tasks=[task(n, index) for n, index in places],
        events=[*events, event(len(events), "job_completed")],
        lines=[line(what, n, index) for n, index in places for what in ("begin", "end")],
    )


def stage(number: int, name: str) -> dict[str, Any]:
    total = tasks_of(name, SEED)
    counters = {"tasks_total": total, "tasks_completed": total, "tasks_failed": 0, "tasks_cancelled": 0}
    times = {"started_at": AT, "finished_at": AT + timedelta(seconds=number)}
    return {"stage": number, "name": name, "status": "completed", **counters, **times}


def task(stage_number: int, index: int) -> dict[str, Any]:
    return {
        "task_id": f"{stage_number}-{index}",
        "task_number": index,
        "task_index": index,
        "stage": stage_number,
        "status": "completed",
        "attempt": 1,
        "max_attempts": 4,
        "error": None,
    }


def event(number: int, kind: str, task_id: str | None = None) -> dict[str, Any]:
    return {
        "event_id": number,
        "event_type": kind,
        "event_data": {},
        "task_id": task_id,
        "attempt": 1,
        "lease_number": 1,
        "created_at": AT + timedelta(seconds=number),
    }


def line(what: str, stage_number: int, index: int, seconds: float = 0.0) -> Line:
    return Line(what, "key", STAGES[JOB_TYPE][stage_number - 1], index, 1, at=AT.timestamp() + seconds)


def with_job(**more: Any) -> Change:
    return lambda whole: replace(whole, job={**whole.job, **more})


def with_stage(**more: Any) -> Change:
    return lambda whole: replace(whole, stages=[{**whole.stages[0], **more}, *whole.stages[1:]])


def with_task(**more: Any) -> Change:
    return lambda whole: replace(whole, tasks=[{**whole.tasks[0], **more}, *whole.tasks[1:]])


def without_lines(what: str) -> Change:
    return lambda whole: replace(whole, lines=[one for one in whole.lines if one.what != what])


def without_the_first_event(whole: JobSnapshot) -> JobSnapshot:
    return replace(whole, events=whole.events[1:])


def with_the_first_event_twice(whole: JobSnapshot) -> JobSnapshot:
    return replace(whole, events=[whole.events[0], *whole.events])


def without_the_first_task(whole: JobSnapshot) -> JobSnapshot:
    return replace(whole, tasks=whole.tasks[1:])


FAILED = {"status": "failed", "error": {"type": "KeyError", "message": "x"}}
DAMAGES: Sequence[tuple[Change, str]] = [
    (with_job(result=planned_result(JOB_TYPE, SEED)[:-1]), "the result is"),
    (with_job(**FAILED), "the job is failed, but was planned to be completed"),
    (with_job(status="processing"), "the job is processing, but was planned to be completed"),
    (without_lines("end"), "it was completed under lease [1], but has effects under []"),
    (with_stage(tasks_completed=1), "stage first has tasks_completed 1, but"),
    (with_stage(tasks_failed=1), "stage first has tasks_failed 1, but 0 such tasks"),
    (with_stage(status="processing"), "stage first is processing"),
    (with_task(status="processing"), "stage first is completed, but its task 1-0 is processing"),
    (with_task(status="cancelled"), "it is cancelled with 1 task_completed"),
    (with_task(**FAILED), "failed with {'type': 'KeyError', 'message': 'x'}, but was not planned to fail"),
    (with_task(**FAILED), "it failed at attempt 1 of 4, but nothing had asked its stage to stop"),
    (without_the_first_task, f"stage first has {len(numbers(SEED)) - 1} tasks, not {len(numbers(SEED))}"),
    (without_the_first_event, "it is completed with 0 task_completed"),
    (with_the_first_event_twice, "it is completed with 2 task_completed"),
]


def test_a_job_without_problems_has_none() -> None:
    assert check_job(job_snapshot()) == []


@pytest.mark.parametrize(("change", "words"), DAMAGES, ids=[words for _, words in DAMAGES])
def test_each_problem_is_found(change: Change, words: str) -> None:
    assert [problem for problem in check_job(change(job_snapshot())) if words in problem]


def test_a_job_that_completed_against_its_plan_is_a_problem() -> None:
    doomed = seed_that("failed")
    problems = check_job(with_job(parameters={"seed": doomed})(job_snapshot()))
    assert any("the job is completed, but was planned to be failed" in problem for problem in problems)
    assert any("it is completed, but was planned to fail for good" in problem for problem in problems)
    assert any(is_doomed(doomed, name, n) for name in STAGES[JOB_TYPE] for n in range(tasks_of(name, doomed)))


def test_an_effect_under_another_lease_does_not_count_for_the_completion() -> None:
    whole = job_snapshot()
    moved = [replace(one, lease_number=2) for one in whole.lines]
    assert any("under lease [1], but has effects under [2]" in one for one in check_job(replace(whole, lines=moved)))


def test_a_job_that_is_open_for_longer_than_the_limit_is_stuck() -> None:
    assert stuck({"one": 119.0, "two": 121.0}, limit=120.0) == ["two"]


def test_late_effects_and_repeated_runs_are_counted_but_are_no_violations() -> None:
    whole = job_snapshot()
    again = replace(whole, lines=[*whole.lines, line("begin", 1, 0), line("end", 1, 0, seconds=5.0)])
    assert (late_effects(whole), repeated_runs(whole)) == (0, 0)
    assert (late_effects(again), repeated_runs(again), check_job(again)) == (1, 1, [])


def test_standstill_counts_until_the_end_of_the_job() -> None:
    whole = job_snapshot()
    later = replace(whole, events=[*whole.events, event(500, "stale_result_rejected")])
    assert longest_standstill(later.events) == 1


def test_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    assert read_lines(file) == ()
    record_line(str(file), "begin", "key", TaskContext(stage="first", index=7, attempt=2, lease_number=3))
    (found,) = read_lines(file)
    assert (found.what, found.job, found.stage, found.index) == ("begin", "key", "first", 7)
    assert (found.attempt, found.lease_number, found.pid > 0, found.at > 0) == (2, 3, True, True)
