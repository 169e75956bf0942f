"""Fan-in: what one stage returned is what the next one gets, whole and in task order."""

from threading import Event
from typing import Any

from coremachine import Job, Stage, task
from tests.databases import OpenApp
from tests.observing import tasks_of
from tests.running import finished, work

EMPTY: list[Any] = [{}, [], 0, "", None, False, 0.0]


@task
def give(value: Any) -> Any:
    return value


@task
def keep(item: Any) -> Any:
    return item


@task
def tell(item: Any) -> dict[str, Any]:
    return {"type": type(item).__name__, "value": item}


@task
def gather(items: list[Any]) -> list[Any]:
    return items


@task
def long_text(index: int) -> str:
    return f"{index}:" + "x" * 20_000


@task
def lengths(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


async def test_f17_a_result_reaches_the_stage_that_takes_it_as_it_was(open_app: OpenApp) -> None:
    job = Job("taken", [Stage("give", give), Stage("tell", tell, takes="give")])
    app = await open_app(job)
    values: list[Any] = [*EMPTY, {"a": [{}, None, ""]}, "NUL is \\u0000 spelt out", 2**52, 0.1, 1e300]
    submitted = [await app.submit(job, key=str(number), value=value) for number, value in enumerate(values)]
    await work(app)
    results = [(await app.job(one.id))["result"] for one in submitted]
    assert results == [{"type": type(value).__name__, "value": value} for value in values]


async def test_f17_empty_results_reach_the_gathering_stage_and_the_next_fan_out(open_app: OpenApp) -> None:
    stages = [Stage("keep", keep, each="values"), Stage("tell", tell, each="keep"), Stage("all", gather, gather="tell")]
    job = Job("empty", stages)
    app = await open_app(job)
    row = await finished(app, job, values=EMPTY)
    assert row["result"] == [{"type": type(value).__name__, "value": value} for value in EMPTY]
    assert [task["result"] for task in await tasks_of(app, row["job_id"], 1)] == EMPTY


async def test_f17_an_empty_result_of_the_last_stage_is_the_result_of_the_job(open_app: OpenApp) -> None:
    job = Job("last", [Stage("give", give)])
    app = await open_app(job)
    submitted = [await app.submit(job, key=str(number), value=value) for number, value in enumerate(EMPTY)]
    await work(app)
    assert [(await app.job(one.id))["status"] for one in submitted] == ["completed"] * len(EMPTY)
    again = [await app.submit(job, key=str(number), value=value) for number, value in enumerate(EMPTY)]
    assert [(type(one.result), one.result) for one in again] == [(type(value), value) for value in EMPTY]


async def test_f18_results_are_gathered_in_task_order_whatever_order_they_came_in(open_app: OpenApp) -> None:
    turns = [Event() for _ in range(13)]

    @task
    def last_first(index: int) -> int:
        """The higher the index, the sooner it returns."""
        turns[index].wait(30)
        turns[index - 1].set()
        return index

    turns[12].set()
    job = Job("ordered", [Stage("count", last_first, each="numbers"), Stage("all", gather, gather="count")])
    app = await open_app(job, concurrency=13)
    row = await finished(app, job, numbers=list(range(13)))
    assert row["result"] == list(range(13))
    tasks = await tasks_of(app, row["job_id"], 1)
    assert [task["task_index"] for task in tasks] == list(range(13))
    assert tasks[12]["finished_at"] <= tasks[0]["finished_at"]


async def test_a_stage_may_gather_from_a_stage_that_is_not_the_one_before(open_app: OpenApp) -> None:
    stages = [Stage("keep", keep, each="values"), Stage("give", give), Stage("all", gather, gather="keep")]
    job = Job("skipping", stages)
    app = await open_app(job)
    assert (await finished(app, job, values=[3, 1, 2], value="between"))["result"] == [3, 1, 2]


async def test_f12_a_fan_in_of_more_than_a_megabyte_arrives(open_app: OpenApp) -> None:
    job = Job("large", [Stage("text", long_text, each="indexes"), Stage("all", lengths, gather="text")])
    app = await open_app(job)
    row = await finished(app, job, indexes=list(range(100)))
    assert row["result"] == [20_002] * 10 + [20_003] * 90
