"""The crash matrix and the connection matrix: one small job for each point of the wire at which its worker is struck.

    python -m tests.crash.matrix --all --mode kill|cut|inside      every point, until the job is over before it comes
    python -m tests.crash.matrix 17 18 --mode cut                  these points

`kill` ends the worker with SIGKILL, and another one without a proxy goes on. `cut` cuts its connections, and the worker
itself goes on. `inside` lets each function of the job kill its worker, at its begin and at its end.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal
from uuid import uuid4

import psycopg
from psycopg import sql

from coremachine import AsyncCoreMachine, CoreMachineError
from coremachine.runtime.embedded import EmbeddedServer
from tests.crash.crashing_job import CRASHING, FUNCTIONS, MOMENTS, SETTINGS
from tests.crash.judging import problems_after
from tests.crash.proxy import Proxy
from tests.crash.workers import worker
from tests.databases import url_of

UNSTRUCK = 4
Mode = Literal["kill", "cut", "inside"]
INSIDE = tuple(f"{function} {moment}" for function in FUNCTIONS for moment in MOMENTS)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the job: where its worker is struck, what came of it. `struck` is None where the job was over first.

    `requests` is what the struck worker had asked by its end, `said` how many lines it and its follower logged.
    """

    mode: Mode
    point: int
    struck: str | None = None
    requests: int = 0
    seconds: float = 0.0
    said: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


async def try_point(template: str, server: str, mode: Mode, point: int) -> Trial:
    """Run the job in a database of its own, strike its worker at `point`, and see whether all is well in the end."""
    started = time.monotonic()
    asked = Trial(mode, point)
    async with _cloned(server, template) as url:
        with tempfile.TemporaryDirectory(prefix="coremachine-crash-") as place:
            try:
                trial = await _strike(asked, url, Path(place))
            except (AssertionError, TimeoutError, CoreMachineError, psycopg.Error) as error:
                trial = replace(asked, struck="?", problems=(f"{type(error).__name__}: {error}",))
            said = _logged(Path(place))
    crashed = [f"logged: {line}" for line in said if line.startswith("Traceback")]
    return replace(trial, seconds=time.monotonic() - started, said=said, problems=(*trial.problems, *crashed))


def _logged(place: Path) -> tuple[str, ...]:
    return tuple(line for log in sorted(place.glob("*.log")) for line in log.read_text().splitlines())


async def _strike(trial: Trial, url: str, place: Path) -> Trial:
    lines, dies = place / "lines", INSIDE[trial.point - 1] if trial.mode == "inside" else ""
    async with AsyncCoreMachine(url, jobs=[CRASHING], settings=SETTINGS) as app, Proxy(url) as proxy:
        submitted = await app.submit(CRASHING, file=str(lines), dies=dies)
        async with worker(proxy.url, place / "1.log") as first:
            proxy.arm(0 if dies else trial.point, first.kill if trial.mode == "kill" else proxy.cut)
            code = await first.ended()
        struck = f"killed by {dies}" if dies and code else proxy.struck
        wanted = -signal.SIGKILL if struck and trial.mode != "cut" else 0
        assert code == wanted, f"the worker ended with {code}, not {wanted} ({struck})"
        if code:
            async with worker(url, place / "2.log") as follower:
                code = await follower.ended()
            assert code == 0, f"the worker that followed ended with {code} ({struck})"
        problems = tuple(await problems_after(app, submitted.id, lines))
        return replace(trial, struck=struck, requests=proxy.requests, problems=problems)


@asynccontextmanager
async def _cloned(server: str, template: str) -> AsyncGenerator[str]:
    name = f"crash_{uuid4().hex[:12]}"
    make = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    async with await psycopg.AsyncConnection[object].connect(server, autocommit=True) as owner:
        await owner.execute(make)
        try:
            yield url_of(server, name)
        finally:
            await owner.execute(drop)


async def try_points(template: str, server: str, mode: Mode, points: Iterable[int], at_once: int) -> list[Trial]:
    """Try the points in their order, several at a time, until they are over or the job is, before they come."""
    waiting, tried = iter(points), list[Trial]()

    async def go_on() -> None:
        for point in waiting:
            trial = await try_point(template, server, mode, point)
            tried.append(trial)
            _print(trial)
            if sum(one.struck is None for one in tried) >= UNSTRUCK:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(go_on())
    return sorted(tried, key=lambda trial: trial.point)


def _print(trial: Trial) -> None:
    outcome = "FAILED" if trial.problems else "ok" if trial.struck else "over"
    sys.stdout.write(
        f"{trial.mode:6} {trial.point:4} {outcome:6} {trial.seconds:5.1f} s  {len(trial.said):2} lines logged"
        f"  {trial.struck or 'the job was over first'}\n"
    )
    for problem in trial.problems:
        sys.stdout.write(f"         {problem}\n")
    for line in trial.said if trial.problems else ():
        sys.stdout.write(f"         | {line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns 1 where any point failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.matrix", description=__doc__)
    parser.add_argument("points", nargs="*", type=int)
    parser.add_argument("--all", action="store_true", help="every point")
    parser.add_argument("--mode", choices=["kill", "cut", "inside"], default="kill")
    parser.add_argument("--at-once", type=int, default=4, help="trials under way at a time")
    asked = parser.parse_args(arguments)
    if not asked.points and not asked.all:
        parser.error("give points, or --all")
    every = range(1, len(INSIDE) + 1) if asked.mode == "inside" else count(1)
    with _server() as server, _template(server) as template:
        try:
            tried = asyncio.run(_until_sigterm(template, server, asked.mode, asked.points or every, asked.at_once))
        except asyncio.CancelledError:
            return 128 + signal.SIGTERM
    struck = [trial for trial in tried if trial.struck]
    failures = sum(bool(trial.problems) for trial in tried)
    sys.stdout.write(f"{len(struck)} points, {failures} failures\n")
    return 1 if failures else 0


async def _until_sigterm(template: str, server: str, mode: Mode, points: Iterable[int], at_once: int) -> list[Trial]:
    """Try the points. SIGTERM ends it, and leaves no worker and no server behind."""
    trying = asyncio.ensure_future(try_points(template, server, mode, points, at_once))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, trying.cancel)
    return await trying


@contextmanager
def _server() -> Generator[str]:
    if given := os.environ.get("COREMACHINE_TEST_DSN"):
        yield given
        return
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - made by mkdtemp there
    with tempfile.TemporaryDirectory(prefix="coremachine-crash-", dir=memory) as place:
        Path(place).chmod(0o755)
        embedded = EmbeddedServer.open(Path(place) / "data")
        try:
            yield embedded.url
        finally:
            embedded.stop()


@contextmanager
def _template(server: str) -> Generator[str]:
    name = f"crash_template_{uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            asyncio.run(_install(url_of(server, name)))
            yield name
        finally:
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _install(url: str) -> None:
    async with AsyncCoreMachine(url, install=True, settings=SETTINGS):
        return


if __name__ == "__main__":
    sys.exit(main())
