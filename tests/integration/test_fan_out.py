"""Fan-out: where the items of a stage come from, and what becomes of a stage that cannot have them."""

import asyncio
from datetime import date
from itertools import count
from typing import Any

import pytest

from coremachine import Job, Stage, task
from coremachine.statemachine.identity import job_id_of
from tests.databases import OpenApp
from tests.observing import counted_events, events_of, tasks_of
from tests.running import finished, work


@task
def count_up(n: int) -> list[int]:
    return list(range(n))


@task
def give(value: Any) -> Any:
    return value


@task
def keep(item: Any) -> Any:
    return item


@task
def double(number: int, factor: int = 2) -> int:
    return factor * number


@task
def gather(items: list[Any]) -> list[Any]:
    return items


def pairs(size: int, low: list[int]) -> list[list[int]]:
    return [[number, size] for number in low]


def triples(low: list[int]) -> tuple[int, ...]:
    return tuple(3 * number for number in low)


async def every_other(low: list[int]) -> list[int]:
    await asyncio.to_thread(int)
    return low[::2]


def explode(size: int) -> list[int]:
    raise LookupError(f"no window of size {size}")


def days(size: int) -> list[Any]:
    return [date(2026, 11, day) for day in range(1, size + 1)]


def objects() -> list[Any]:
    return [1, {"tile": object()}]


def a_number() -> Any:
    return 3


def failing_stage(row: dict[str, Any]) -> dict[str, Any]:
    """The first stage that failed, with its job failed and nothing of it open."""
    assert row["status"] == "failed"
    assert not any(stage["status"] in {"pending", "processing"} for stage in row["stages"])
    failed: dict[str, Any] = next(stage for stage in row["stages"] if stage["status"] == "failed")
    return failed


async def test_a_stage_fans_out_over_the_list_that_an_earlier_stage_returned(open_app: OpenApp) -> None:
    job = Job("listed", [Stage("plan", count_up), Stage("double", double, each="plan")], finalize=gather)
    app = await open_app(job)
    row = await finished(app, job, n=4, factor=10)
    assert (row["status"], row["result"]) == ("completed", [0, 10, 20, 30])
    assert [task["item"] for task in await tasks_of(app, row["job_id"], 2)] == [0, 1, 2, 3]
    counted = await counted_events(app, row["job_id"])
    assert counted["task_started"] == counted["task_completed"] == 5
    assert (counted["stage_started"], counted["stage_completed"], counted["job_completed"]) == (2, 2, 1)


async def test_a_stage_fans_out_over_the_results_of_a_fan_out(open_app: OpenApp) -> None:
    stages = [Stage("plan", count_up), Stage("double", double, each="plan"), Stage("again", double, each="double")]
    job = Job("chained", [*stages, Stage("all", gather, gather="again")])
    app = await open_app(job)
    row = await finished(app, job, n=12)
    assert row["result"] == [4 * number for number in range(12)]
    assert [stage["tasks_total"] for stage in row["stages"]] == [1, 12, 12, 1]


async def test_a_stage_fans_out_over_a_parameter(open_app: OpenApp) -> None:
    job = Job("given", [Stage("double", double, each="numbers"), Stage("all", gather, gather="double")])
    app = await open_app(job)
    assert (await finished(app, job, numbers=[5, 3, 4]))["result"] == [10, 6, 8]


@pytest.mark.parametrize(
    ("function", "parameters", "expected"),
    [
        (pairs, {"size": 7}, [[0, 7], [1, 7], [2, 7]]),
        (triples, {}, [0, 3, 6]),
        (every_other, {}, [0, 2]),
        (days, {"size": 2}, ["2026-11-01", "2026-11-02"]),
    ],
)
async def test_a_stage_fans_out_by_a_function_of_parameters_and_earlier_outputs(
    open_app: OpenApp, function: Any, parameters: dict[str, int], expected: list[Any]
) -> None:
    stages = [Stage("low", count_up), Stage("keep", keep, each=function), Stage("all", gather, gather="keep")]
    job = Job("computed", stages)
    app = await open_app(job)
    assert (await finished(app, job, n=3, **parameters))["result"] == expected


async def test_a_function_gets_every_result_of_an_earlier_fan_out_in_order(open_app: OpenApp) -> None:
    def longest(double: list[int]) -> list[int]:
        return [*double, max(double)]

    stages = [Stage("plan", count_up), Stage("double", double, each="plan"), Stage("keep", keep, each=longest)]
    job = Job("over_results", [*stages, Stage("all", gather, gather="keep")])
    app = await open_app(job)
    assert (await finished(app, job, n=11))["result"] == [*range(0, 22, 2), 20]


@pytest.mark.parametrize(
    ("stage", "parameters", "kind", "words"),
    [
        (Stage("keep", keep, each=explode), {"size": 9}, "LookupError", "no window of size 9"),
        (Stage("keep", keep, each=a_number), {}, "FanOutError", "function a_number returned a int, not a list"),
        (Stage("keep", keep, each=objects), {}, "ResultError", "item 1.tile is a object: cannot be JSON"),
        (Stage("keep", keep, each="first"), {}, "FanOutError", "stage first returned a dict, not a list"),
    ],
)
async def test_f08_a_fan_out_that_fails_fails_its_stage_and_its_job_at_once(
    open_app: OpenApp, stage: Stage, parameters: dict[str, Any], kind: str, words: str
) -> None:
    job = Job("broken", [Stage("first", give), stage, Stage("last", gather, gather="keep")])
    app = await open_app(job)
    row = await finished(app, job, value={"not": "a list"}, **parameters)
    failed = failing_stage(row)
    assert (failed["stage"], failed["tasks_total"]) == (2, 0)
    for error in (failed["error"], row["error"]):
        assert error["type"] == kind
        assert words in error["message"]
    assert row["stages"][2]["status"] == "cancelled"
    told = await events_of(app, row["job_id"], "stage_failed", "stage_cancelled", "job_failed")
    assert [(event["event_type"], event["stage"]) for event in told] == [
        ("stage_failed", 2),
        ("stage_cancelled", 3),
        ("job_failed", None),
    ]
    assert told[1]["event_data"]["reason"] == "stage 2 (keep) failed"
    assert words in told[2]["event_data"]["error"]["message"]


async def test_f08_a_stage_with_no_tasks_closes_as_it_opens_with_a_warning(open_app: OpenApp) -> None:
    job = Job(
        "none", [Stage("plan", count_up), Stage("double", double, each="plan"), Stage("all", gather, gather="double")]
    )
    app = await open_app(job)
    row = await finished(app, job, n=0)
    assert (row["status"], row["result"]) == ("completed", [])
    assert [(stage["status"], stage["tasks_total"]) for stage in row["stages"]] == [
        ("completed", 1),
        ("completed", 0),
        ("completed", 1),
    ]
    (empty,) = await events_of(app, row["job_id"], "stage_empty")
    assert (empty["stage"], empty["event_status"]) == (2, "warning")
    order = [event["event_type"] for event in await events_of(app, row["job_id"]) if event["stage"] == 2]
    assert order == ["stage_started", "stage_empty", "checkpoint", "stage_completed"]


async def test_f29_a_job_of_one_empty_stage_completes(open_app: OpenApp) -> None:
    job = Job("only", [Stage("double", double, each="numbers")], finalize=gather)
    app = await open_app(job)
    row = await finished(app, job, numbers=[])
    assert (row["status"], row["result"]) == ("completed", [])


@pytest.mark.parametrize(("number", "status"), [(0, "failed"), (2, "failed"), (3, "completed")])
async def test_f08_fewer_tasks_than_at_least_fail_the_stage(open_app: OpenApp, number: int, status: str) -> None:
    job = Job("enough", [Stage("plan", count_up), Stage("double", double, each="plan", at_least=3)])
    app = await open_app(job)
    row = await finished(app, job, n=number)
    assert row["status"] == status
    if status == "failed":
        failed = failing_stage(row)
        assert failed["error"]["message"] == f"stage double has {number} tasks; it needs at least 3"
        assert row["error"]["type"] == "TooFewTasks"
        assert failed["tasks_cancelled"] == failed["tasks_total"] == number
        assert {task["status"] for task in await tasks_of(app, row["job_id"], 2)} <= {"cancelled"}
        assert (await counted_events(app, row["job_id"]))["task_started"] == 1


def keys_of_jobs_that_begin_alike(job: Job, digits: int = 4, **parameters: Any) -> tuple[str, str]:
    """Two submission keys whose job ids begin with the same hex digits."""
    met: dict[str, str] = {}
    for key in map(str, count()):
        beginning = job_id_of(job.name, parameters, key)[:digits]
        if beginning in met:
            return met[beginning], key
        met[beginning] = key
    raise AssertionError


async def test_f19_jobs_whose_ids_begin_alike_share_no_tasks(open_app: OpenApp) -> None:
    job = Job("many", [Stage("double", double, each="numbers"), Stage("again", double, each="double")])
    app = await open_app(job)
    keys = keys_of_jobs_that_begin_alike(job, numbers=[1, 2, 3], factor=2)
    one, other = [await app.submit(job, key=key, numbers=[1, 2, 3]) for key in keys]
    assert one.id[:4] == other.id[:4]
    await work(app)
    tasks = await tasks_of(app, one.id) + await tasks_of(app, other.id)
    assert len({task["task_id"] for task in tasks}) == 12
    assert [task["task_number"] for task in tasks] == [1, 2, 3, 4, 5, 6] * 2
    assert (await app.job(one.id))["status"] == (await app.job(other.id))["status"] == "completed"


async def test_the_tasks_of_a_stage_are_created_at_one_moment(open_app: OpenApp) -> None:
    job = Job("at_once", [Stage("plan", count_up), Stage("double", double, each="plan")])
    app = await open_app(job)
    row = await finished(app, job, n=20)
    tasks = [one for one in await tasks_of(app, row["job_id"]) if one["stage"] == 2]
    assert (len(tasks), len({one["created_at"] for one in tasks})) == (20, 1)
