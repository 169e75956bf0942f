"""The stage for one run of one peer: a store of its own, a folder for marks, two workers that have proved awake."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crew import HERE, Crew, crew, last_words
from peers import PEERS, Peer
from stores import database, emptied
from watch import Watch, wait

Shape = Literal["fan", "flat"]
"""What work is shaped like where its speed is measured."""
WORKERS = 2
PATIENCE = 600
FIRST = 200
AWAKE = 60


class PeerFailedError(Exception):
    """A peer did not do its work. Carries what its workers said last."""


@dataclass(frozen=True, slots=True)
class Where:
    """What each run needs to know: URLs, the interpreter of the peers, how long a task lasts."""

    url: str
    redis: str | None
    python: str
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a peer runs. `database` is None for who keeps its work in Redis."""

    peer: Peer
    program: list[str]
    environment: dict[str, str]
    watch: Watch
    database: str | None

    @contextmanager
    def calling(self, *role: str) -> Generator[None]:
        """Run the peer's program in a role that ends by itself, and go on meanwhile. Raises PeerFailedError."""
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                [*self.program, *role], cwd=HERE, env=self.environment, stdout=subprocess.DEVNULL, stderr=said
            ) as program,
        ):
            try:
                yield
                program.wait(timeout=PATIENCE)
            finally:
                program.kill()
            if program.returncode:
                raise PeerFailedError(f"{' '.join(role)} of {self.peer.program} failed: {last_words(said)}")

    def call(self, *role: str) -> None:
        """Do the same, and wait for it. Raises PeerFailedError."""
        with self.calling(*role):
            pass

    @contextmanager
    def workers(self) -> Generator[Crew]:
        """Two workers. Raises PeerFailedError, with what they said, where the run comes to nothing."""
        with crew([*self.program, "worker"], self.environment, WORKERS) as found:
            try:
                yield found
            except (TimeoutError, subprocess.SubprocessError) as error:
                raise PeerFailedError(f"{error}; its workers said last: {last_words(found.said)}") from error

    def run(self, shape: Shape, tasks: int) -> None:
        """Submit a job and wait until all of it is done."""
        done, ends = self.watch.done(), len(self.watch.ends())
        self.call(shape, str(tasks))
        if shape == "fan":
            wait(lambda: len(self.watch.ends()) > ends, PATIENCE, "the end of the job")
        wait(lambda: self.watch.done() >= done + tasks, PATIENCE, "the last task")

    def wake(self, shape: Shape) -> None:
        """Warm up with ever larger jobs, until each worker has taken part."""
        tasks = FIRST // self.peer.share

        def awake() -> bool:
            nonlocal tasks
            self.run(shape, tasks)
            tasks *= 2
            return len(self.watch.by_process()) >= WORKERS

        wait(awake, AWAKE, "work in each worker")


@contextmanager
def stage(name: str, where: Where) -> Generator[Stage]:
    """Set the stage for one run, and clear it away."""
    peer = PEERS[name]
    with ExitStack() as stack:
        marks = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench"))
        url = None
        if peer.store == "postgresql":
            url = stack.enter_context(database(where.url))
        else:
            stack.enter_context(emptied(where.redis or "", peer.appendfsync))
        python = sys.executable if name == "coremachine" else where.python
        environment = {
            **os.environ,
            "BENCH_DSN": url or "",
            "BENCH_REDIS": where.redis or "",
            "BENCH_MARKS": marks,
            "BENCH_PAUSE": str(where.pause),
        }
        program = [python, f"with_{peer.program}.py"]
        found = Stage(peer, program, environment, Watch(Path(marks)), url)
        if url:
            found.call("install")
        yield found
