import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from tests.acceptance.commands import JOBS, line_with, run, run_json, started
from tests.acceptance.declared_jobs import failing, hanging, holding, sums
from tests.databases import OpenApp

APP = ("--app", str(JOBS))


@pytest.fixture
def pipes(tmp_path: Path) -> tuple[Path, Path]:
    """Two named pipes: on one the handler reports that it runs, the other one lets it end."""
    running, release = tmp_path / "running", tmp_path / "release"
    os.mkfifo(running)
    os.mkfifo(release)
    return running, release


async def test_until_idle_it_ends_by_itself_when_all_is_done(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    jobs = [(await app.submit(sums, first=first)).id for first in range(3)]
    log = run("worker", "--until-idle", "--concurrency", "2", *APP, url=url).stderr.splitlines()
    assert [(await app.job(job))["status"] for job in jobs] == ["completed"] * 3
    first = json.loads(log[0])
    assert (first["event"], first["level"], first["concurrency"]) == ("worker started", "info", 2)
    assert json.loads(log[-1])["event"] == "worker stopped"


async def test_failures_are_logged_with_their_fields_as_keys(url: str, open_app: OpenApp) -> None:
    app = await open_app(failing)
    job = (await app.submit(failing, count=3)).id
    log = [json.loads(line) for line in run("worker", "--until-idle", *APP, url=url).stderr.splitlines()]
    lines = {one["event"]: one for one in log}
    task, end = lines["a task failed"], lines["a job failed"]
    assert (task["level"], task["job"], task["task"], task["attempt"]) == ("warning", job[:12], 3, "1 of 1")
    assert (end["level"], end["job"], end["error"]) == ("error", job[:12], "ValueError: one is too many")


async def test_at_sigterm_it_finishes_what_it_runs(url: str, open_app: OpenApp, pipes: tuple[Path, Path]) -> None:
    running, release = pipes
    app = await open_app(holding)
    job = (await app.submit(holding, started=str(running), release=str(release))).id
    with started("worker", *APP, url=url) as worker:
        assert await asyncio.to_thread(running.read_text) == "running"
        worker.send_signal(signal.SIGTERM)
        await asyncio.to_thread(line_with, worker.stderr, "worker is stopping")
        await asyncio.to_thread(release.write_text, "done")
        assert await asyncio.to_thread(worker.wait, 60) == 0
    (stage,) = (await app.job(job))["stages"]
    assert (stage["status"], stage["tasks_completed"]) == ("completed", 1)


async def test_a_handler_that_never_returns_does_not_keep_it(
    url: str, open_app: OpenApp, pipes: tuple[Path, Path]
) -> None:
    app = await open_app(hanging)
    job = (await app.submit(hanging, started=str(pipes[0]))).id
    with started("worker", *APP, url=url, COREMACHINE_GRACE="0.1") as worker:
        await asyncio.to_thread(pipes[0].read_text)
        worker.send_signal(signal.SIGTERM)
        _, log = await asyncio.to_thread(worker.communicate, None, 30)
        assert worker.returncode == 0
    assert "a handler is still running and ends with the process; its task was released or had timed out" in log
    assert "task_released" in await app.timeline(job)


async def test_a_second_signal_ends_it_at_once(url: str, open_app: OpenApp, pipes: tuple[Path, Path]) -> None:
    app = await open_app(hanging)
    await app.submit(hanging, started=str(pipes[0]))
    with started("worker", *APP, url=url, COREMACHINE_GRACE="3600") as worker:
        await asyncio.to_thread(pipes[0].read_text)
        worker.send_signal(signal.SIGTERM)
        await asyncio.to_thread(line_with, worker.stderr, "worker is stopping")
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 60) == 128 + signal.SIGTERM


def test_ctrl_c_stops_it_gracefully_with_130(url: str) -> None:
    with started("worker", *APP, url=url) as worker:
        line_with(worker.stderr, "worker started")
        worker.send_signal(signal.SIGINT)
        line_with(worker.stderr, "worker stopped")
        assert worker.wait(60) == 130


def test_several_processes_stop_together(url: str) -> None:
    with started("worker", "--processes", "2", *APP, url=url) as workers:
        pids = {_pid(line_with(workers.stderr, "worker started")) for _ in range(2)}
        assert len(pids) == 2
        workers.send_signal(signal.SIGTERM)
        for _ in range(2):
            line_with(workers.stderr, "worker stopped")
        assert workers.wait(60) == 0


def test_several_processes_share_the_work(url: str) -> None:
    run("submit", "sums", "first=1", *APP, url=url)
    run("worker", "--processes", "2", "--until-idle", *APP, "--url", url)
    assert [job["status"] for job in run_json("jobs", "--json", url=url)] == ["completed"]


def test_a_process_that_fails_is_logged_and_not_restarted(url: str) -> None:
    with started("worker", "--processes", "2", *APP, url=url) as workers:
        first, _ = (_pid(line_with(workers.stderr, "worker started")) for _ in range(2))
        os.kill(first, signal.SIGKILL)
        failed = json.loads(line_with(workers.stderr, "a worker process failed"))
        assert (failed["pid"], failed["code"]) == (first, -signal.SIGKILL)
        workers.send_signal(signal.SIGTERM)
        _, log = workers.communicate(timeout=60)
        assert "worker started" not in log
        assert workers.returncode == 1


def test_the_processes_do_not_outlive_the_one_that_started_them(url: str) -> None:
    with started("worker", "--processes", "2", *APP, url=url) as workers:
        for _ in range(2):
            line_with(workers.stderr, "worker started")
        workers.kill()
        for _ in range(2):
            line_with(workers.stderr, "worker stopped")


def test_nothing_is_logged_below_the_level_asked_for(url: str) -> None:
    assert run("worker", "--until-idle", "--log-level", "warning", *APP, url=url).stderr == ""


def _pid(line: str) -> int:
    pid: int = json.loads(line)["pid"]
    return pid
