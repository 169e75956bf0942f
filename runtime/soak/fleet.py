"""The workers: processes of `coremachine worker`, kept at their number, killed or stopped now and then."""

import os
import socket
import subprocess
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
from .figures import Figures
from .pause import Pause

CHILD = "coremachine.runtime.executor.child"
STARTED = '"worker started"'
NAMED = '"worker": "'
ERROR = '"level": "error"'
PLANNED = ('"a job failed"', '"a job was cancelled"', '"a callback was given up"')
"""What a worker logs as an error of its jobs, as the plan wants it: no error of its own."""
STOP_SECONDS = 120.0
ORPHAN_SECONDS = 30.0
GIVE_UP = 40
TAIL = 2_000
SHARE_OF_SIGTERM = 0.25
SHARE_OF_SIGSTOP = 0.2


@dataclass(frozen=True, slots=True)
class Command:
    """How a worker is started: its command line, and what its environment has besides the settings."""

    arguments: Sequence[str]
    environment: dict[str, str]


@dataclass(slots=True)
class WorkerProcess:
    """One process. `asked` is the signal that ends it, `asked_at` when it was sent, by the monotonic clock."""

    process: "subprocess.Popen[bytes]"
    log: Path
    asked: Signals | None = None
    asked_at: float = 0.0
    pause: Pause | None = None

    @property
    def name(self) -> str:
        """What the worker calls itself: it logs that as it starts. Before, its host and process id."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if STARTED in line:
                return line.partition(NAMED)[2].partition('"')[0]
        return f"{socket.gethostname()}-{self.process.pid}"

    def go_on(self) -> None:
        """End its pause, if it stands still."""
        if self.pause is not None:
            self.pause.end()
            self.pause = None


@dataclass(slots=True)
class Fleet:
    """Keeps `number` workers at work. `keep` is to be called again and again.

    `pauses` are the shortest and the longest time for which a worker is stopped, in seconds.
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

    def keep(self) -> None:
        """See who has ended or has stood still for long enough, and start as many as are missing.

        Raises OperationError where none can be started.
        """
        for worker in [*self.working, *self.leaving]:
            if worker.process.poll() is not None:
                self._bury(worker)
            elif worker.pause is not None and worker.pause.over:
                worker.go_on()
            elif worker.asked and time.monotonic() - worker.asked_at > STOP_SECONDS:
                self.figures.violate(f"worker {worker.name} had not ended {STOP_SECONDS:g} s after {worker.asked.name}")
                worker.process.kill()
                worker.asked = SIGKILL
                worker.asked_at = time.monotonic()
        while len(self.working) < self.number:
            self.working.append(self._start())

    @property
    def running(self) -> list[WorkerProcess]:
        """The workers that neither leave nor stand still."""
        return [worker for worker in self.working if worker.pause is None]

    def strike(self, random: Random) -> None:
        """Kill a running worker, ask it to stop, or let it stand still for longer than its lease."""
        if not self.running:
            return
        worker, drawn = random.choice(self.running), random.random()
        if drawn < SHARE_OF_SIGSTOP:
            self.pause(worker, random.uniform(*self.pauses))
        else:
            self.end(worker, SIGTERM if drawn < SHARE_OF_SIGSTOP + SHARE_OF_SIGTERM else SIGKILL)

    def pause(self, worker: WorkerProcess, seconds: float, *, alone: bool = False) -> None:
        """Stop a worker for so long, with its processes unless it is `alone`. Nobody takes its place."""
        self.figures.kills[SIGSTOP.name] += 1
        worker.pause = Pause.begin(worker.process.pid, seconds, alone=alone)

    def end(self, worker: WorkerProcess, signal: Signals) -> None:
        """Kill a worker, or ask it to stop; another takes its place at once."""
        self.figures.kills[signal.name] += 1
        if signal is SIGKILL:
            # the same machine's clock as the database's: the server is ours, and here
            self.figures.killed_at[worker.name] = datetime.now(UTC)
        self._ask(worker, signal)

    def stop(self) -> None:
        """Ask all to end. `keep` must not be called any more, `wait` must."""
        self.number = 0
        for worker in tuple(self.working):
            worker.go_on()
            self._ask(worker, SIGTERM)

    @property
    def gone(self) -> bool:
        """Whether no worker is left."""
        return not self.working and not self.leaving

    def kill_all(self) -> None:
        """Leave no process of ours, whatever has happened."""
        for worker in (*self.working, *self.leaving):
            worker.go_on()  # what the worker had started is stopped as well, and may outlive it
            worker.process.kill()
            worker.process.wait()

    def orphans(self) -> list[int]:
        """Processes of handlers whose worker has been dead for half a minute."""
        late = {pid for pid, at in self.ended.items() if time.monotonic() - at > ORPHAN_SECONDS}
        return [pid for pid, words in every_process() if CHILD in words and _parent(words) in late]

    def _ask(self, worker: WorkerProcess, signal: Signals) -> None:
        worker.asked = signal
        worker.asked_at = time.monotonic()
        worker.process.send_signal(signal)
        self.working.remove(worker)
        self.leaving.append(worker)

    def _start(self) -> WorkerProcess:
        self._made += 1
        log = self.folder / f"worker-{self._made}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COREMACHINE_")}
        said = self.settings.model_dump(exclude_none=True) | {"url": self.url}
        ours = {f"COREMACHINE_{name.upper()}": str(value) for name, value in said.items()}
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - this very program
                self.command.arguments,
                env={**kept, **ours, **self.command.environment},
                stdin=subprocess.PIPE,  # it ends with us, and so does the worker
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.ended.pop(process.pid, None)
        return WorkerProcess(process, log)

    def _bury(self, worker: WorkerProcess) -> None:
        (self.leaving if worker in self.leaving else self.working).remove(worker)
        self.ended[worker.process.pid] = time.monotonic()
        worker.go_on()
        if worker.process.stdin:
            worker.process.stdin.close()
        said = worker.log.read_text(encoding="utf-8", errors="replace")
        errors = [line for line in said.splitlines() if ERROR in line and not any(one in line for one in PLANNED)]
        self.figures.worker_errors += len(errors)
        self.figures.errors_logged.extend(error[:TAIL] for error in errors)
        self._judge(worker, said)
        if not self.logs_stay:
            worker.log.unlink()

    def _judge(self, worker: WorkerProcess, said: str) -> None:
        code = worker.process.returncode
        if STARTED in said:
            self._failed_in_row = 0
        if worker.asked is not None and code in {0, -worker.asked}:
            return
        if STARTED in said:
            asked = f"after {worker.asked.name}" if worker.asked else "by itself"
            self.figures.violate(f"worker {worker.name} ended {asked} with {code}", log=(said[-TAIL:],))
            return
        self.figures.failed_starts += 1
        self._failed_in_row += 1
        if self._failed_in_row > GIVE_UP:
            raise OperationError(f"no worker could be started, {GIVE_UP} times in a row; the last said: {said[-TAIL:]}")


def _parent(words: str) -> int:
    last = words.rsplit(maxsplit=1)[-1]
    return int(last) if last.isdecimal() else 0
