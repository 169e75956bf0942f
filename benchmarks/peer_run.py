"""One run of one peer: a new store, a folder for marks, and two workers that have shown that they work."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from peers import PEERS, Peer
from stores import database, empty_redis
from watch import Watch, wait
from worker_group import HERE, WorkerGroup, last_output, worker_group

Shape = Literal["fan", "flat"]
"""The shape of the work whose throughput is measured."""
WORKERS = 2
RUN_SECONDS = 600
FIRST_WARM_UP = 200
WARM_UP_SECONDS = 60


class PeerFailedError(Exception):
    """A peer did not do its work. Carries the last output of its workers."""


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What every run needs to know: URLs, the interpreter of the peers, the duration of a task."""

    url: str
    redis: str | None
    python: str
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class PeerRun:
    """A peer that is ready to run. `database` is None for a peer that keeps its work in Redis."""

    peer: Peer
    program: list[str]
    environment: dict[str, str]
    watch: Watch
    database: str | None

    @contextmanager
    def calling(self, *role: str) -> Generator[None]:
        """Run the peer's program, in a role that ends by itself, during the block. Raises PeerFailedError."""
        with (
            tempfile.TemporaryFile() as output,
            subprocess.Popen(
                [*self.program, *role], cwd=HERE, env=self.environment, stdout=subprocess.DEVNULL, stderr=output
            ) as program,
        ):
            try:
                yield
                program.wait(timeout=RUN_SECONDS)
            finally:
                program.kill()
            if program.returncode:
                raise PeerFailedError(f"{' '.join(role)} of {self.peer.program} failed: {last_output(output)}")

    def call(self, *role: str) -> None:
        """The same, without a block. Raises PeerFailedError."""
        with self.calling(*role):
            pass

    @contextmanager
    def workers(self) -> Generator[WorkerGroup]:
        """Two workers. Raises PeerFailedError, with their last output, if the run fails."""
        with worker_group([*self.program, "worker"], self.environment, WORKERS) as group:
            try:
                yield group
            except (TimeoutError, subprocess.SubprocessError) as error:
                raise PeerFailedError(f"{error}; last output of its workers: {last_output(group.output)}") from error

    def run(self, shape: Shape, tasks: int) -> None:
        """Submit a job and wait until it is done."""
        done, ends = self.watch.done(), len(self.watch.ends())
        self.call(shape, str(tasks))
        if shape == "fan":
            wait(lambda: len(self.watch.ends()) > ends, RUN_SECONDS, "the end of the job")
        wait(lambda: self.watch.done() >= done + tasks, RUN_SECONDS, "the last task")

    def warm_up(self, shape: Shape) -> None:
        """Run jobs of growing size until each worker has taken part."""
        tasks = FIRST_WARM_UP // self.peer.share

        def all_working() -> bool:
            nonlocal tasks
            self.run(shape, tasks)
            tasks *= 2
            return len(self.watch.by_process()) >= WORKERS

        wait(all_working, WARM_UP_SECONDS, "work in each worker")


@contextmanager
def peer_run(name: str, options: PeerOptions) -> Generator[PeerRun]:
    """Prepare one run, and remove everything after it."""
    peer = PEERS[name]
    with ExitStack() as stack:
        marks = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench"))
        url = None
        if peer.store == "postgresql":
            url = stack.enter_context(database(options.url))
        else:
            stack.enter_context(empty_redis(options.redis or "", peer.appendfsync))
        python = sys.executable if name == "coremachine" else options.python
        environment = {
            **os.environ,
            "BENCH_DSN": url or "",
            "BENCH_REDIS": options.redis or "",
            "BENCH_MARKS": marks,
            "BENCH_PAUSE": str(options.pause),
        }
        program = [python, f"with_{peer.program}.py"]
        run = PeerRun(peer, program, environment, Watch(Path(marks)), url)
        if url:
            run.call("install")
        yield run
