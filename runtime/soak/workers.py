"""The workers: processes of `coremachine worker`, kept at a fixed number, killed or paused at random."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from signal import SIGKILL, SIGSTOP, SIGTERM, Signals

from ...statemachine.errors import OperationError
from ..embedded.processes import every_process
from ..settings import Settings
from ..worker.parent_watch import ParentWatch
from .figures import Figures
from .pause import Pause

CHILD = "coremachine.runtime.executor.child"
STARTED = '"worker started"'
NAME_FIELD = '"worker": "'
ERROR = '"level": "error"'
PLANNED_ERRORS = ('"a job failed"', '"a job was cancelled"', '"a callback was given up"')
"""Errors of jobs that are planned. They are not errors of the worker."""
STOP_SECONDS = 120.0
ORPHAN_SECONDS = 30.0
MOST_FAILED_STARTS = 40
LOG_TAIL = 2_000
SHARE_OF_SIGTERM = 0.25
SHARE_OF_SIGSTOP = 0.2


@dataclass(frozen=True, slots=True)
class Command:
    """How a worker is started: its command line, and environment variables besides its settings."""

    arguments: Sequence[str]
    environment: dict[str, str]


def worker_command(jobs: str, **environment: str) -> Command:
    """The command that runs a worker for the jobs of this module. The worker ends with this process."""
    arguments = (sys.executable, "-m", "coremachine", "worker", "--app", jobs, "--log-level", "info")
    return Command(arguments, {**ParentWatch.environment(url=None), **environment})


@dataclass(slots=True)
class WorkerProcess:
    """One process. `end_signal` is the signal that ends it, `signalled_at` when it was sent, by the monotonic clock."""

    process: "subprocess.Popen[bytes]"
    log: Path
    end_signal: Signals | None = None
    signalled_at: float = 0.0
    pause: Pause | None = None

    @property
    def name(self) -> str:
        """The name that the worker logs when it starts. Until then, its host and process id."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if STARTED in line:
                return line.partition(NAME_FIELD)[2].partition('"')[0]
        return f"{socket.gethostname()}-{self.process.pid}"

    def unpause(self) -> None:
        """End its pause, if it is paused."""
        if self.pause is not None:
            self.pause.end()
            self.pause = None


@dataclass(slots=True)
class Workers:
    """Keeps `number` workers running. Call `maintain` repeatedly.

    `pauses` are the shortest and the longest time for which a worker is paused, in seconds.
    """

    command: Command
    url: str
    settings: Settings
    folder: Path
    number: int
    figures: Figures
    working: list[WorkerProcess] = field(default_factory=list[WorkerProcess])
    leaving: list[WorkerProcess] = field(default_factory=list[WorkerProcess])
    ended: dict[int, float] = field(default_factory=dict[int, float])
    logs_stay: bool = False
    pauses: tuple[float, float] = (3.0, 8.0)
    _made: int = 0
    _failed_in_row: int = 0

    def maintain(self) -> None:
        """Remove workers that have ended, continue those whose pause is over, and start as many as are missing.

        Raises OperationError if no worker can be started.
        """
        for worker in [*self.working, *self.leaving]:
            if worker.process.poll() is not None:
                self._remove(worker)
            elif worker.pause is not None and worker.pause.over:
                worker.unpause()
            elif worker.end_signal and time.monotonic() - worker.signalled_at > STOP_SECONDS:
                late = f"had not ended {STOP_SECONDS:g} s after {worker.end_signal.name}"
                self.figures.add_violation(f"worker {worker.name} {late}")
                worker.process.kill()
                worker.end_signal = SIGKILL
                worker.signalled_at = time.monotonic()
        while len(self.working) < self.number:
            self.working.append(self._start())

    @property
    def running(self) -> list[WorkerProcess]:
        """The workers that are neither ending nor paused."""
        return [worker for worker in self.working if worker.pause is None]

    def strike(self, random: Random) -> None:
        """Kill a running worker, ask it to stop, or pause it for longer than its lease."""
        if not self.running:
            return
        worker, drawn = random.choice(self.running), random.random()
        if drawn < SHARE_OF_SIGSTOP:
            self.pause(worker, random.uniform(*self.pauses))
        else:
            self.end(worker, SIGTERM if drawn < SHARE_OF_SIGSTOP + SHARE_OF_SIGTERM else SIGKILL)

    def pause(self, worker: WorkerProcess, seconds: float, *, alone: bool = False) -> None:
        """Pause a worker, with its processes unless `alone`. It is not replaced."""
        self.figures.kills[SIGSTOP.name] += 1
        worker.pause = Pause.begin(worker.process.pid, seconds, alone=alone)

    def end(self, worker: WorkerProcess, signal: Signals) -> None:
        """Kill a worker, or ask it to stop. It is replaced at once."""
        self.figures.kills[signal.name] += 1
        if signal is SIGKILL:
            # this clock is also the database's: the server runs on this machine
            self.figures.killed_at[worker.name] = datetime.now(UTC)
        self._send_end_signal(worker, signal)

    def stop(self) -> None:
        """Ask all workers to stop. Call `maintain` until they are `gone`."""
        self.number = 0
        for worker in tuple(self.working):
            worker.unpause()
            self._send_end_signal(worker, SIGTERM)

    @property
    def gone(self) -> bool:
        """Whether every worker has ended."""
        return not self.working and not self.leaving

    def kill_all(self) -> None:
        """Leave no worker process running, whatever has happened."""
        for worker in (*self.working, *self.leaving):
            worker.unpause()  # its child processes are stopped too, and may outlive it
            worker.process.kill()
            worker.process.wait()

    def orphans(self) -> list[int]:
        """Processes of handlers whose worker ended half a minute ago."""
        late = {pid for pid, at in self.ended.items() if time.monotonic() - at > ORPHAN_SECONDS}
        return [one.pid for one in every_process() if CHILD in one.command and _worker_of(one.command) in late]

    def _send_end_signal(self, worker: WorkerProcess, signal: Signals) -> None:
        worker.end_signal = signal
        worker.signalled_at = time.monotonic()
        worker.process.send_signal(signal)
        self.working.remove(worker)
        self.leaving.append(worker)

    def _start(self) -> WorkerProcess:
        self._made += 1
        log = self.folder / f"worker-{self._made}.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("COREMACHINE_")}
        values = self.settings.model_dump(exclude_none=True) | {"url": self.url}
        settings = {f"COREMACHINE_{name.upper()}": str(value) for name, value in values.items()}
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - this very program
                self.command.arguments,
                env={**inherited, **settings, **self.command.environment},
                stdin=subprocess.PIPE,  # it ends with this process, and so does the worker
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.ended.pop(process.pid, None)
        return WorkerProcess(process, log)

    def _remove(self, worker: WorkerProcess) -> None:
        (self.leaving if worker in self.leaving else self.working).remove(worker)
        self.ended[worker.process.pid] = time.monotonic()
        worker.unpause()
        if worker.process.stdin:
            worker.process.stdin.close()
        log = worker.log.read_text(encoding="utf-8", errors="replace")
        errors = [line for line in log.splitlines() if ERROR in line and not any(one in line for one in PLANNED_ERRORS)]
        self.figures.worker_errors += len(errors)
        self.figures.errors_logged.extend(error[:LOG_TAIL] for error in errors)
        self._check_exit(worker, log)
        if not self.logs_stay:
            worker.log.unlink()

    def _check_exit(self, worker: WorkerProcess, log: str) -> None:
        code = worker.process.returncode
        if STARTED in log:
            self._failed_in_row = 0
        if worker.end_signal is not None and code in {0, -worker.end_signal}:
            return
        if STARTED in log:
            when = f"after {worker.end_signal.name}" if worker.end_signal else "by itself"
            self.figures.add_violation(f"worker {worker.name} ended {when} with {code}", log=(log[-LOG_TAIL:],))
            return
        self.figures.failed_starts += 1
        self._failed_in_row += 1
        if self._failed_in_row > MOST_FAILED_STARTS:
            last = f"the last log: {log[-LOG_TAIL:]}"
            raise OperationError(f"no worker could be started, {MOST_FAILED_STARTS} times in a row; {last}")


def _worker_of(command: str) -> int:
    """The process id of the worker that started this child: its last argument."""
    last = command.rsplit(maxsplit=1)[-1]
    return int(last) if last.isdecimal() else 0
