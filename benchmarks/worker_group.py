"""The worker processes of a run, each in a process group with its children, so that all can be killed together."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
STOP_SECONDS = 20
OUTPUT_SHOWN = 2000


@dataclass(slots=True)
class WorkerGroup:
    """Workers that are started by the same command. `output` is the file that they write to."""

    command: list[str]
    environment: Mapping[str, str]
    output: IO[bytes]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start one more."""
        one = subprocess.Popen(
            self.command,
            cwd=HERE,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            start_new_session=True,
        )
        self.started.append(one)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of them and to their children."""
        for one in self.started:
            _send(one.pid, number)

    def kill(self, group: int) -> None:
        """Kill one of them, with its children."""
        _send(group, signal.SIGKILL)

    def stop(self) -> None:
        """Ask them to stop, and kill those that do not."""
        for one in self.started:
            one.terminate()
        for one in self.started:
            try:
                one.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _send(one.pid, signal.SIGKILL)
                one.wait()


def last_output(output: IO[bytes]) -> str:
    """The end of a file to which programs have written."""
    output.seek(0)
    return output.read().decode(errors="replace")[-OUTPUT_SHOWN:]


def _send(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


@contextmanager
def worker_group(command: list[str], environment: Mapping[str, str], number: int) -> Generator[WorkerGroup]:
    """`number` workers, which are stopped at the end of the block."""
    with tempfile.TemporaryFile() as output:
        group = WorkerGroup(command, environment, output)
        try:
            for _ in range(number):
                group.start()
            yield group
        finally:
            group.stop()
