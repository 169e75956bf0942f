"""Timeouts: an attempt that lasts too long fails, wherever its handler runs."""

import asyncio
import os
import signal
from pathlib import Path
from threading import Event

from coremachine import Job, Stage, TaskContext, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.observing import counted_events, tasks_of
from tests.running import finished
from tests.waiting import until

SHORT = 0.3
LONG_ENOUGH_TO_WRITE_A_LINE = 3.0
AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)


@task(process=True)
def start_a_process() -> None:
    """Leaves a process that has imported this module, which may take longer than any timeout here."""


@task(timeout=LONG_ENOUGH_TO_WRITE_A_LINE, process=True)
def hang_in_a_process(pid_file: str) -> None:
    """Never ends by itself, and hears no request to."""
    Path(pid_file).write_text(str(os.getpid()))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    while True:
        signal.pause()


def is_gone(pid: int) -> bool:
    """Whether no process has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def assert_timed_out(app: AsyncCoreMachine, job: Job, seconds: float = SHORT, **parameters: str) -> None:
    row = await finished(app, job, **parameters)
    *_, one = await tasks_of(app, row["job_id"])
    assert (row["status"], one["status"], one["error"]["type"]) == ("failed", "failed", "HandlerTimeoutError")
    assert f"did not end within its timeout of {seconds:g} s" in row["error"]["message"]
    assert (await counted_events(app, row["job_id"]))["task_completed"] == len(job.stages) - 1


async def test_an_async_handler_that_hangs_is_cancelled(open_app: OpenApp) -> None:
    ended: list[str] = []

    @task(timeout=SHORT)
    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    job = Job("hanging", [Stage("hang", hang)])
    await assert_timed_out(await open_app(job), job)
    assert ended == ["cancelled"]


async def test_a_handler_in_a_thread_is_left_behind_and_asked_to_stop(open_app: OpenApp) -> None:
    asked, ended = [False], Event()

    @task(timeout=SHORT)
    def hang(context: TaskContext) -> str:
        asked[0] = context.wait(60)
        ended.set()
        return "too late"

    job = Job("hanging", [Stage("hang", hang)])
    await assert_timed_out(await open_app(job), job)
    assert await asyncio.to_thread(ended.wait, 20)
    assert asked == [True]


async def test_a_handler_in_a_process_is_killed(open_app: OpenApp, tmp_path: Path) -> None:
    job = Job("hanging", [Stage("start", start_a_process), Stage("hang", hang_in_a_process)])
    pid_file = tmp_path / "pid"
    await assert_timed_out(await open_app(job), job, LONG_ENOUGH_TO_WRITE_A_LINE, pid_file=str(pid_file))
    pid = int(pid_file.read_text())

    async def gone() -> bool:
        return await asyncio.to_thread(is_gone, pid)

    await until(gone, f"process {pid} is gone")


async def test_an_attempt_that_timed_out_is_tried_again(open_app: OpenApp) -> None:
    attempts: list[int] = []

    @task(timeout=SHORT, retries=1, backoff=AT_ONCE)
    async def hang_once(context: TaskContext) -> int:
        attempts.append(context.attempt)
        if context.attempt == 1:
            await asyncio.Event().wait()
        return context.attempt

    job = Job("hanging", [Stage("hang", hang_once)])
    app = await open_app(job, poll=0.05)
    row = await finished(app, job)
    assert (row["status"], row["result"], attempts) == ("completed", 2, [1, 2])


async def test_a_timeout_error_of_the_handler_itself_is_told_as_such(open_app: OpenApp) -> None:
    @task(timeout=60)
    async def wait_for_a_peer() -> None:
        raise TimeoutError("the peer did not answer")

    job = Job("peer", [Stage("wait", wait_for_a_peer)])
    row = await finished(await open_app(job), job)
    assert (row["error"]["type"], row["error"]["message"]) == ("TimeoutError", "the peer did not answer")
