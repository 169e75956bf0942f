"""The database goes away under a worker, and comes back: nothing is lost, and the log says so in two lines."""

import asyncio
import json
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coremachine import AsyncCoreMachine, Job
from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.embedded.cluster import Cluster
from tests.acceptance.blocking_jobs import read_lines
from tests.acceptance.commands import started
from tests.acceptance.outage_jobs import planned, telling, working
from tests.integration.embedded.test_after_a_crash import postmaster_of
from tests.observing import rows
from tests.waiting import until, until_row, until_status

APP = ("--app", str(Path(__file__).parents[2] / "acceptance" / "outage_jobs.py"))
JOBS = (planned, working, telling)
SIZES: dict[Job, dict[str, Any]] = {telling: {}, planned: {"size": 3}}
PLACES = 8
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'coremachine%'
"""


class Log:
    """What a process writes to its standard error, line by line, as JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.lines: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._thread.start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.lines.append(json.loads(line))

    async def until(self, text: str) -> None:
        """Wait for a line that begins with `text`."""

        async def logged() -> bool:
            return any(line["event"].startswith(text) for line in self.lines)

        await until(logged, text)

    def end(self) -> list[dict[str, Any]]:
        """Every line, except the start and the stop."""
        self._thread.join()
        return [line for line in self.lines if not line["event"].startswith("worker ")]


async def submit_all(url: str, place: Path) -> list[str]:
    """Submit the jobs, and return once a fan-out function, a callback, and as many tasks as there are places run."""

    async def begun() -> Counter[str]:
        return Counter(line.split()[0] for line in read_lines(place / "lines"))

    async def apart_from_tasks() -> bool:
        return await begun() == {"numbers": 1, "callback": 1}

    async def under_way() -> bool:
        return await begun() == {"numbers": 1, "callback": 1, "work": PLACES}

    async with AsyncCoreMachine(url, jobs=JOBS, install=True) as app:
        first = [(await app.submit(job, place=str(place), **more)).id for job, more in SIZES.items()]
        await until(apart_from_tasks, "the callback and the fan-out function run")
        items = list(range(100, 130))
        last = await app.submit(working, place=str(place), items=items)
        await until(under_way, "all places are taken")
    return [*first, last.id]


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedServer]:
    """A server for one test, which is stopped at its end even if another process started it last."""
    with EmbeddedServer.open(data_dir) as one:
        yield one
        EmbeddedServer.open(data_dir).stop()


async def go_away(server: EmbeddedServer, cluster: Cluster, how: str) -> None:
    """Let the database go away."""
    if how == "stopped":
        server.stop()
    elif how == "crashed":
        os.kill(postmaster_of(cluster), signal.SIGKILL)
    else:
        async with AsyncCoreMachine(server.url) as other:
            await rows(other, CUT)


@pytest.mark.parametrize("how", ["stopped", "crashed", "cut"])
async def test_gap_1_an_outage_of_the_database_loses_nothing_and_is_logged_in_two_lines(
    server: EmbeddedServer, tmp_path: Path, cluster_at: Callable[[Path], Cluster], how: str
) -> None:
    async with AsyncCoreMachine(server.url, jobs=JOBS, install=True):
        pass
    with started("worker", *APP, url=server.url) as worker:
        log = Log(worker)
        jobs = await submit_all(server.url, tmp_path)
        await go_away(server, cluster_at(server.data_dir), how)
        (tmp_path / "go").touch()
        await log.until("the database cannot be reached")
        assert EmbeddedServer.open(server.data_dir).url == server.url
        async with AsyncCoreMachine(server.url, jobs=JOBS) as app:
            ended = [(await until_status(app, job, "completed", "failed"))["status"] for job in jobs]
            await until_row(app, "SELECT FROM app.callbacks WHERE status = 'completed'")
            await log.until("the database can be reached again")
            audit = await app.audit()
            stale = await rows(app, "SELECT FROM app.job_events WHERE event_type = 'stale_result_rejected'")
            worker.send_signal(signal.SIGTERM)
            await asyncio.to_thread(worker.wait, 30)
    assert ended == ["completed"] * 3
    assert [finding for finding in audit.findings if finding.severity != "info"] == []
    assert not stale
    once = {f"work {number}" for number in (0, 1, 2, *range(100, 130))} | {"numbers", "callback"}
    assert Counter(read_lines(tmp_path / "lines")) == dict.fromkeys(once, 1)
    begun, over = log.end()
    assert (begun["level"], begun["event"]) == ("warning", "the database cannot be reached; trying again")
    assert begun["error"]
    assert (over["level"], over["event"]) == ("info", "the database can be reached again")
    assert over["lasted_s"] > 0
