"""The worker processes of a run: each with all its children in a group of its own, so that one can be killed whole."""

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
GRACE = 20
SAID = 2000


@dataclass(slots=True)
class Crew:
    """Workers that are started by the same command."""

    command: list[str]
    environment: Mapping[str, str]
    said: IO[bytes]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start one more."""
        one = subprocess.Popen(
            self.command,
            cwd=HERE,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=self.said,
            stderr=self.said,
            start_new_session=True,
        )
        self.started.append(one)

    def signal(self, number: signal.Signals) -> None:
        """Send all of them a signal, with their children."""
        for one in self.started:
            _send(one.pid, number)

    def kill(self, group: int) -> None:
        """End one of them on the spot, with its children."""
        _send(group, signal.SIGKILL)

    def stop(self) -> None:
        """Let them bring to an end what is under way, and end those that do not."""
        for one in self.started:
            one.terminate()
        for one in self.started:
            try:
                one.wait(timeout=GRACE)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _send(one.pid, signal.SIGKILL)
                one.wait()


def last_words(said: IO[bytes]) -> str:
    """The end of what programs have said into a file."""
    said.seek(0)
    return said.read().decode(errors="replace")[-SAID:]


def _send(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


@contextmanager
def crew(command: list[str], environment: Mapping[str, str], number: int) -> Generator[Crew]:
    """`number` workers, which are stopped at the end."""
    with tempfile.TemporaryFile() as said:
        found = Crew(command, environment, said)
        try:
            for _ in range(number):
                found.start()
            yield found
        finally:
            found.stop()
