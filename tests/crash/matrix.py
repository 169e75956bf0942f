"""The crash matrix and the connection matrix: one small job for each point of the wire at which its worker is struck.

    python -m tests.crash.matrix --all --mode kill|cut|swallow|inside    every point, until the job ends before it
    python -m tests.crash.matrix 17 18 --mode cut                  these points
    python -m tests.crash.matrix --all --mode swallow --way 0      one of the six ways, at every point
    python -m tests.crash.matrix --all --bus servicebus            the same with the real SDK, struck on its wire
    python -m tests.crash.matrix --all --bus servicebus --wire database

`kill` ends the worker with SIGKILL, and another one continues without a proxy. `cut` cuts its connections, and the
worker itself continues. `swallow` leaves them open, and drops what is sent on them: in one direction or in both, on the
struck connection alone or on all, in turn; new connections pass everything. `inside` lets each function of the job kill
its worker, at its start and at its end.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Literal

import psycopg

from coremachine import AsyncCoreMachine, CoreMachineError
from tests.crash.checks import problems_after
from tests.crash.crashing_job import CRASHING, FUNCTIONS, MOMENTS
from tests.crash.environments import TrialEnvironment, trial_environment
from tests.crash.proxy import DIRECTIONS, Proxy
from tests.crash.workers import Worker, worker

MOST_TOO_LATE = 4
Mode = Literal["kill", "cut", "swallow", "inside"]
WAYS = tuple(product((DIRECTIONS, DIRECTIONS[:1], DIRECTIONS[1:]), (False, True)))
"""The ways to swallow: the directions, and whether the struck connection alone swallows."""

INSIDE = tuple(f"{function} {moment}" for function in FUNCTIONS for moment in MOMENTS)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the job: where its worker is struck, and the result. `struck` is None if the job ended first.

    `points` is their number until the struck worker ended, `log` the lines that it and its successor logged.
    """

    mode: Mode
    point: int
    way: int = 0
    struck: str | None = None
    points: int = 0
    seconds: float = 0.0
    log: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


async def try_point(environment: TrialEnvironment, mode: Mode, point: int, way: int | None = None) -> Trial:
    """Run the job in a new database, strike its worker at `point`, and check the result.

    Without a given `way` to swallow they take turns, so that each one comes to points of both kinds.
    """
    started = time.monotonic()
    new = Trial(mode, point, point // 2 % len(WAYS) if way is None else way)
    async with environment.cloned() as url:
        with tempfile.TemporaryDirectory(prefix="coremachine-crash-") as files:
            try:
                trial = await _strike(new, environment, url, Path(files))
            except (AssertionError, TimeoutError, CoreMachineError, psycopg.Error) as error:
                trial = replace(new, struck="?", problems=(f"{type(error).__name__}: {error}",))
            log = _read_logs(Path(files))
    crashed = [f"logged: {line}" for line in log if line.startswith("Traceback")]
    return replace(trial, seconds=time.monotonic() - started, log=log, problems=(*trial.problems, *crashed))


def _read_logs(files: Path) -> tuple[str, ...]:
    return tuple(line for log in sorted(files.glob("*.log")) for line in log.read_text().splitlines())


async def _strike(trial: Trial, environment: TrialEnvironment, url: str, files: Path) -> Trial:
    settings = environment.settings()
    lines, dies = files / "lines", INSIDE[trial.point - 1] if trial.mode == "inside" else ""
    async with AsyncCoreMachine(url, jobs=[CRASHING], settings=settings) as app, environment.proxy(url) as proxy:
        submitted = await app.submit(CRASHING, file=str(lines), dies=dies)
        async with worker(*environment.through(proxy, url, settings), files / "1.log") as first:
            proxy.arm(0 if dies else trial.point, _strike_of(trial, proxy, first))
            code = await first.ended()
        struck = f"killed by {dies}" if dies and code else proxy.struck
        wanted = -signal.SIGKILL if struck and trial.mode in {"kill", "inside"} else 0
        assert code == wanted, f"the worker ended with {code}, not {wanted} ({struck})"
        if code:
            async with worker(url, settings, files / "2.log") as follower:
                code = await follower.ended()
            assert code == 0, f"the next worker ended with {code} ({struck})"
        swallowed = trial.mode == "swallow"  # a session may hold its locks until the server learns of its client's end
        problems = tuple(await problems_after(app, submitted.id, lines, may_be_locked=swallowed))
        return replace(trial, struck=struck, points=proxy.points, problems=problems)


def _strike_of(trial: Trial, proxy: Proxy, worker: Worker) -> Callable[[], object]:
    if trial.mode == "swallow":
        directions, alone = WAYS[trial.way]
        return partial(proxy.swallow, directions, alone=alone)
    return worker.kill if trial.mode == "kill" else proxy.cut


async def try_points(
    environment: TrialEnvironment, mode: Mode, points: Iterable[int], at_once: int, way: int | None = None
) -> list[Trial]:
    """Try the points in order, several at a time, until there are no more, or the job ends before them."""
    waiting, tried = iter(points), list[Trial]()

    async def try_next() -> None:
        for point in waiting:
            trial = await try_point(environment, mode, point, way)
            tried.append(trial)
            _print(trial)
            if sum(one.struck is None for one in tried) >= MOST_TOO_LATE:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(try_next())
    return sorted(tried, key=lambda trial: trial.point)


def _print(trial: Trial) -> None:
    outcome = "FAILED" if trial.problems else "ok" if trial.struck else "late"
    sys.stdout.write(
        f"{trial.mode:6} {trial.point:4} {outcome:6} {trial.seconds:5.1f} s  {len(trial.log):2} lines logged"
        f"  {trial.struck or 'the job ended first'}{_name_of_way(trial)}\n"
    )
    for problem in trial.problems:
        sys.stdout.write(f"         {problem}\n")
    for line in trial.log if trial.problems else ():
        sys.stdout.write(f"         | {line}\n")
    sys.stdout.flush()


def _name_of_way(trial: Trial) -> str:
    if trial.mode != "swallow":
        return ""
    directions, alone = WAYS[trial.way]
    return f"  ({' and '.join(directions)}, {'this connection' if alone else 'every connection'})"


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns 1 if any point failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.matrix", description=__doc__)
    parser.add_argument("points", nargs="*", type=int)
    parser.add_argument("--all", action="store_true", help="every point")
    parser.add_argument("--mode", choices=["kill", "cut", "swallow", "inside"], default="kill")
    parser.add_argument("--way", type=int, choices=range(len(WAYS)), help="way to swallow (default: each in turn)")
    parser.add_argument("--at-once", type=int, default=4, help="number of trials that run at the same time")
    parser.add_argument("--bus", choices=["postgres", "servicebus"], default="postgres")
    parser.add_argument(
        "--wire", choices=["database", "bus"], help="connection that is struck (default: that of the messages)"
    )
    options = parser.parse_args(arguments)
    if not options.points and not options.all:
        parser.error("give points, or --all")
    every = range(1, len(INSIDE) + 1) if options.mode == "inside" else count(1)
    with trial_environment(
        options.bus, options.wire or ("bus" if options.bus == "servicebus" else "database")
    ) as environment:
        try:
            trying = partial(
                try_points, environment, options.mode, options.points or every, options.at_once, options.way
            )
            tried = asyncio.run(_until_sigterm(trying))
        except asyncio.CancelledError:
            return 128 + signal.SIGTERM
    struck = [trial for trial in tried if trial.struck]
    failures = sum(bool(trial.problems) for trial in tried)
    sys.stdout.write(f"{len(struck)} points, {failures} failures\n")
    return 1 if failures else 0


async def _until_sigterm(try_them: Callable[[], Awaitable[list[Trial]]]) -> list[Trial]:
    """Try the points. SIGTERM ends it without leaving a worker or a server behind."""
    trying = asyncio.ensure_future(try_them())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, trying.cancel)
    return await trying


if __name__ == "__main__":
    sys.exit(main())
