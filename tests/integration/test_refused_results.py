"""Results that cannot be kept (GAP-5, F39): a clear failure, no second attempt, and nothing else hurt."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from coremachine import Job, Stage, task
from coremachine.statemachine.task import Task
from tests.databases import OpenApp
from tests.observing import counted_events, tasks_of
from tests.running import finished

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited:RuntimeWarning")


async def later() -> int:
    return await asyncio.to_thread(int)


def a_coroutine() -> Any:
    return later()


def a_generator() -> Any:
    return (number for number in range(3))


def an_object() -> Any:
    return {"tiles": [1, {"path": object()}]}


def fifty_megabytes() -> Any:
    return "x" * 50_000_000


def not_a_number() -> Any:
    return {"mean": float("nan")}


def a_nul() -> Any:
    return ["fine", "a \x00 b"]


def itself() -> Any:
    nested: list[Any] = []
    nested.append(nested)
    return nested


def number_keys() -> Any:
    return {1: "one"}


def a_tile() -> Any:
    @dataclass
    class Tile:
        row: int
        handle: object

    return Tile(1, object())


REFUSED = [
    (a_coroutine, "result is a coroutine"),
    (a_generator, "result is a generator"),
    (an_object, "result.tiles[1].path is a object"),
    (fifty_megabytes, "bytes of JSON, more than 16777216"),
    (not_a_number, "result.mean is a float: nan is not JSON"),
    (a_nul, "result[1] is a str: holds a NUL character"),
    (itself, "nested more than 200 deep, or within itself"),
    (number_keys, "its key 1 is a int, not text"),
    (a_tile, "result.handle is a object"),
]


@task(process=True, retries=3)
def in_a_process(name: str) -> Any:
    """What the function of that name returns."""
    return next(function for function, _ in REFUSED if function.__name__ == name)()


@task
def fine() -> str:
    return "fine"


async def assert_refused(open_app: OpenApp, handler: Task[..., Any], words: str, **parameters: str) -> None:
    bad, good = Job("bad", [Stage("bad", handler)]), Job("good", [Stage("good", fine)])
    app = await open_app(bad, good)
    beside = await app.submit(good)
    row = await finished(app, bad, **parameters)
    (one,) = await tasks_of(app, row["job_id"])
    assert (row["status"], one["status"], one["attempt"]) == ("failed", "failed", 1)
    assert one["error"]["type"] == "ResultError"
    assert words in one["error"]["message"]
    assert words in row["error"]["message"]
    counted = await counted_events(app, row["job_id"])
    assert (counted["task_failed"], counted["task_retry_scheduled"], counted["task_completed"]) == (1, 0, 0)
    assert (await app.job(beside.id))["result"] == "fine"


@pytest.mark.parametrize(("function", "words"), REFUSED)
async def test_f39_gap_5_a_result_that_cannot_be_json_fails_its_task_by_type_and_field(
    open_app: OpenApp, function: Callable[[], Any], words: str
) -> None:
    await assert_refused(open_app, task(retries=3)(function), words)


@pytest.mark.parametrize(("function", "words"), REFUSED)
async def test_f39_gap_5_the_same_holds_in_a_process(
    open_app: OpenApp, function: Callable[[], Any], words: str
) -> None:
    await assert_refused(open_app, in_a_process, words, name=function.__name__)


async def test_f39_gap_5_and_on_the_loop(open_app: OpenApp) -> None:
    @task(retries=3)
    async def forgets_to_await() -> Any:
        return later()

    await assert_refused(open_app, forgets_to_await, "await or exhaust it in the handler")
