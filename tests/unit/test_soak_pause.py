"""A worker of the soak is paused with all of its processes, and continues with all of them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from signal import SIGKILL

import pytest

from coremachine.runtime.settings import Settings
from coremachine.runtime.soak.figures import Figures
from coremachine.runtime.soak.options import Options
from coremachine.runtime.soak.pause import Pause, descendants
from coremachine.runtime.soak.workers import Command, WorkerProcess, Workers
from tests.waiting import until

STARTED = '{"event": "worker started", "worker": "here-7-c0ffee"}'
FAMILY = ("sh", "-c", "sleep 60 & echo up; wait")
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@pytest.fixture
def family() -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a child, both of which run."""
    with subprocess.Popen(FAMILY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        below = descendants(process.pid)
        yield process
        process.kill()
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)


def is_stopped(pid: int) -> bool:
    """Whether the kernel names its state T."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def until_stopped(*pids: int, stopped: bool = True) -> None:
    """Wait until all of these are stopped, or none of them is: a signal takes a moment to arrive."""

    async def so() -> bool:
        return all(is_stopped(pid) is stopped for pid in pids)

    await until(so, f"{pids} {'stopped' if stopped else 'running'}")


def options(*, defaults: bool, lease: float = 2.0) -> Options:
    return Options(
        minutes=1,
        workers=1,
        lease=lease,
        reconcile=1,
        kill_every=1,
        restart_every=1,
        open_jobs=1,
        seed=1,
        defaults=defaults,
    )


async def test_a_pause_stops_a_process_and_those_below_it_until_it_ends(family: "subprocess.Popen[bytes]") -> None:
    pause = Pause.begin(family.pid, seconds=60)
    assert (pause.stopped, pause.over) == ((family.pid, *descendants(family.pid)), False)
    assert len(pause.stopped) == 2
    await until_stopped(*pause.stopped)
    pause.end()
    await until_stopped(*pause.stopped, stopped=False)


async def test_a_process_stopped_alone_leaves_the_others_running(family: "subprocess.Popen[bytes]") -> None:
    pause = Pause.begin(family.pid, seconds=0, alone=True)
    assert (pause.stopped, pause.over) == ((family.pid,), True)
    await until_stopped(family.pid)
    await until_stopped(*descendants(family.pid), stopped=False)
    pause.end()


def workers_of(family: "subprocess.Popen[bytes]", folder: Path) -> Workers:
    """One worker, which has started."""
    log = folder / "worker.log"
    log.write_text(STARTED)
    workers = Workers(Command((), {}), "", Settings(), folder, 1, Figures())
    workers.working.append(WorkerProcess(family, log))
    return workers


async def test_a_worker_continues_when_its_pause_is_over(family: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    workers = workers_of(family, tmp_path)
    workers.pause(workers.working[0], seconds=0)
    assert workers.running == []
    await until_stopped(family.pid, *descendants(family.pid))
    workers.strike(Random(1))  # noqa: S311 - there is no worker to strike
    workers.maintain()
    await until_stopped(family.pid, *descendants(family.pid), stopped=False)
    assert (len(workers.running), workers.figures.kills) == (1, {"SIGSTOP": 1})


async def test_workers_that_end_leave_nothing_stopped(family: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    workers, below = workers_of(family, tmp_path), descendants(family.pid)
    workers.pause(workers.working[0], seconds=60)
    await until_stopped(*below)
    workers.kill_all()
    await until_stopped(*below, stopped=False)


def test_the_name_of_a_worker_is_the_one_that_its_log_gives(family: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    (worker,) = workers_of(family, tmp_path).working
    assert worker.name == "here-7-c0ffee"
    worker.log.write_text("")
    assert worker.name.endswith(f"-{family.pid}")


def test_a_pause_is_longer_than_a_lease_and_shorter_than_the_wait_for_the_check() -> None:
    for one in (options(defaults=False), options(defaults=False, lease=1.0), options(defaults=True)):
        shortest, longest = one.pauses
        assert one.settings.lease < shortest < longest < one.quiet
    assert (options(defaults=False).pauses, options(defaults=True).pauses) == ((3.0, 8.0), (15.0, 25.0))
