"""What a handler says while it runs is written while it runs, wherever it runs; and it hears that it should stop."""

import asyncio
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from coremachine import Job, Stage, TaskContext, task
from coremachine.statemachine.task import Task
from tests.databases import OpenApp
from tests.observing import events_of, tasks_of
from tests.running import finished, working
from tests.waiting import until_event, until_status


def speak_and_wait(gate: str, context: TaskContext) -> list[object]:
    """Say how far it has come, then go on only when the file `gate` is there."""
    context.checkpoint("half way", tile=3)
    context.progress(1, 2)
    while not Path(gate).exists() and not context.wait(0.02):
        pass
    return [context.job_id, context.task_id, context.stage, context.index, context.attempt, context.lease_number]


@task
def in_a_thread(gate: str, context: TaskContext) -> list[object]:
    return speak_and_wait(gate, context)


@task(process=True)
def in_a_process(gate: str, context: TaskContext) -> list[object]:
    return speak_and_wait(gate, context)


@task
async def on_the_loop(gate: str, context: TaskContext) -> list[object]:
    return await asyncio.to_thread(speak_and_wait, gate, context)


@task(process=True)
def wait_to_be_stopped(number: int, file: str, context: TaskContext) -> None:
    """The first fails once the second runs; the second runs until it is asked to stop."""
    if number:
        Path(file).touch()
        assert context.wait(30), "it was never asked to stop"
        context.raise_if_cancelled()
    while not Path(file).exists():
        assert not context.wait(0.02)
    raise ValueError("the first is refused")


@pytest.mark.parametrize("handler", [in_a_thread, in_a_process, on_the_loop])
async def test_checkpoint_and_progress_are_written_while_the_handler_still_runs(
    open_app: OpenApp, handler: Task[..., Any], tmp_path: Path
) -> None:
    job = Job("speaking", [Stage("speak", handler)])
    app = await open_app(job)
    gate = tmp_path / "gate"
    async with working(app):
        submitted = await app.submit(job, gate=str(gate))
        checkpoint = await until_event(app, submitted.id, "checkpoint", number=2)
        progress = await until_event(app, submitted.id, "progress")
        (one,) = await tasks_of(app, submitted.id)
        gate.touch()
        row = await until_status(app, submitted.id, "completed", "failed")
    assert one["status"] == "processing"
    assert checkpoint["event_data"] == {"name": "half way", "tile": 3}
    assert progress["event_data"] == {"done": 1, "total": 2}
    for event in (checkpoint, progress):
        assert (event["task_id"], event["stage"], event["attempt"]) == (one["task_id"], 1, 1)
        assert (event["lease_number"], event["event_status"]) == (1, "info")
    assert row["result"] == [submitted.id, one["task_id"], "speak", 0, 1, 1]


async def test_a_stop_request_reaches_a_running_sibling_in_its_process(open_app: OpenApp, tmp_path: Path) -> None:
    job = Job("stopping", [Stage("wait", wait_to_be_stopped, each="numbers")])
    app = await open_app(job, lease=0.6, concurrency=2)
    row = await finished(app, job, numbers=[0, 1], file=str(tmp_path / "running"))
    assert [one["status"] for one in await tasks_of(app, row["job_id"])] == ["failed", "cancelled"]
    (cancelled,) = await events_of(app, row["job_id"], "task_cancelled")
    assert cancelled["event_data"]["reason"] == "fail_fast"


async def test_a_stop_request_reaches_a_running_sibling_on_the_loop(open_app: OpenApp) -> None:
    running = asyncio.Event()

    @task
    async def either(number: int, context: TaskContext) -> None:
        if number == 0:
            await running.wait()
            raise ValueError("zero is refused")
        running.set()
        assert await asyncio.to_thread(context.wait, 30), "it was never asked to stop"
        context.raise_if_cancelled()

    job = Job("stopping", [Stage("wait", either, each="numbers")])
    app = await open_app(job, lease=0.6, concurrency=2)
    row = await finished(app, job, numbers=[0, 1])
    assert [one["status"] for one in await tasks_of(app, row["job_id"])] == ["failed", "cancelled"]


async def test_progress_is_written_once_a_second_and_the_last_one_always(open_app: OpenApp) -> None:
    @task
    def count(context: TaskContext) -> int:
        for done in range(5_000):
            context.progress(done + 1, 5_000)
        return 5_000

    job = Job("counting", [Stage("count", count)])
    app = await open_app(job)
    row = await finished(app, job)
    told = [event["event_data"]["done"] for event in await events_of(app, row["job_id"], "progress")]
    assert told[0] == 1
    assert told[-1] == 5_000
    assert len(told) < 50
    types = [event["event_type"] for event in await events_of(app, row["job_id"])]
    assert types.index("task_completed") > max(n for n, kind in enumerate(types) if kind == "progress")


@pytest.mark.parametrize("data", [{"tile": object()}, {"text": "a \x00 b"}, {"mean": float("nan")}, {"keys": {1: 2}}])
async def test_a_checkpoint_that_cannot_be_written_fails_its_own_task_and_nothing_else(
    open_app: OpenApp, data: dict[str, object]
) -> None:
    go_on = Event()

    @task
    def speak(number: int, context: TaskContext) -> int:
        if number:
            assert go_on.wait(30)
            context.checkpoint("fine", number=number)
            return number
        try:
            context.checkpoint("bad", **data)
        finally:
            go_on.set()
        return number

    job = Job("speaking", [Stage("speak", speak, each="numbers", policy="finish_siblings")])
    app = await open_app(job)
    row = await finished(app, job, numbers=[0, 1, 2])
    tasks = await tasks_of(app, row["job_id"])
    assert [one["status"] for one in tasks] == ["failed", "completed", "completed"]
    assert tasks[0]["error"]["type"] == "ResultError"
    assert f"checkpoint.{next(iter(data))}" in tasks[0]["error"]["message"]
    names = [event["event_data"]["name"] for event in await events_of(app, row["job_id"], "checkpoint")]
    assert names.count("fine") == 2
