"""Leases are kept as long as the worker lives, whatever its handlers do to it, and no longer."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from coremachine import Job, Stage, task
from tests.acceptance.blocking_jobs import blocking_loop, holding_interpreter, read_lines
from tests.acceptance.commands import line_with, started
from tests.databases import OpenApp
from tests.integration.children_seen import Process
from tests.observing import counted_events, tasks_of
from tests.renewers import renewer_is_up, renewer_of
from tests.running import working
from tests.waiting import until, until_event, until_status

APP = ("--app", str(Path(__file__).with_name("blocking_jobs.py")))
NUMBERS = [1, 2]
LEASE = "1"
SECONDS = 3


@pytest.mark.parametrize("job", [holding_interpreter, blocking_loop], ids=lambda job: job.name)
async def test_f40_f05_handlers_that_block_their_worker_for_several_leases_run_once(
    url: str, open_app: OpenApp, tmp_path: Path, job: Job
) -> None:
    """All were claimed at once, so that the last one's lease is kept while the others block the worker."""
    app, file = await open_app(job, reconcile=0.2), tmp_path / "lines"
    with started("worker", *APP, "--concurrency", "1", url=url, COREMACHINE_LEASE=LEASE) as worker:
        await asyncio.to_thread(line_with, worker.stderr, "worker started")
        await renewer_is_up(app)
        submitted = await app.submit(job, numbers=NUMBERS, seconds=SECONDS, file=str(file))
        await until_event(app, submitted.id, "task_started", number=len(NUMBERS))
        async with working(app):  # it would rescue them, and run them a second time
            row = await until_status(app, submitted.id, "completed", "failed")
    counts = await counted_events(app, submitted.id)
    assert row["status"] == "completed"
    assert sorted(read_lines(file)) == [f"begun {number}" for number in NUMBERS]
    assert {one["lease_number"] for one in await tasks_of(app, submitted.id)} == {1}
    assert (counts["task_started"], counts["task_rescued"], counts["stale_result_rejected"]) == (len(NUMBERS), 0, 0)


async def test_f05_f32_the_renewer_of_a_killed_worker_is_gone_and_its_task_is_rescued(
    url: str, open_app: OpenApp, tmp_path: Path
) -> None:
    """Its handler has forked: the pipe between worker and renewer stays open."""

    @task(name="fork_and_stay")
    def do_not_fork(file: str) -> str:
        return file

    app = await open_app(Job("forking", [Stage("fork", do_not_fork)]), reconcile=0.2)
    file = tmp_path / "lines"
    with started("worker", *APP, url=url, COREMACHINE_LEASE=LEASE) as worker:
        await asyncio.to_thread(line_with, worker.stderr, "worker started")
        await renewer_is_up(app)
        with contextlib.closing(Process(await renewer_of(worker.pid))) as renewer:
            submitted = await app.submit("forking", file=str(file))

            async def forked() -> list[str]:
                return read_lines(file)

            (pid,) = await until(forked, "the handler has forked")
            worker.kill()
            try:
                assert await asyncio.to_thread(renewer.is_gone, 10)
                os.kill(int(pid), 0)  # it lives, and the pipe with it
            finally:
                os.kill(int(pid), signal.SIGKILL)
    async with working(app):
        rescued = await until_event(app, submitted.id, "task_rescued")
        await until_status(app, submitted.id, "completed")
    assert rescued["event_data"]["lost_worker"].split("-")[-2] == str(worker.pid)
