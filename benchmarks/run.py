"""One peer, or all of them in alternation with CoreMachine, on the same work with two workers each.

    python benchmarks/run.py --url postgresql://… [--redis …] [PEER …]      a job of 1 → N → 1 tasks
    python benchmarks/run.py --url postgresql://… --shape flat              a queue of N tasks that nobody waits for
    python benchmarks/run.py --url postgresql://… --shape latency           from a submission to its handler, when idle
    python benchmarks/run.py --url postgresql://… --killed                  one of the two workers is killed half-way

`--redis` is the URL of an empty Redis database for Celery and Dramatiq, which are left out without one. It is emptied
after each run, and `appendfsync` is set as each row says. `--python` is an interpreter with requirements.txt installed;
by default it is the one that runs this program. The PostgreSQL peers share the server of `--url`, each with a database
of its own that is dropped afterwards; the login must be allowed to make one.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import tables
from killed import Plan, run_killed
from latency import run_latency
from peers import PEERS, described
from stage import WORKERS, PeerFailedError, Where
from stores import about_redis
from throughput import run

from coremachine.runtime.bench.place import place
from coremachine.runtime.bench.surroundings import surroundings
from coremachine.runtime.settings import Settings

TASKS = {"fan": 10_000, "flat": 10_000, "latency": 200}
FAILED = (PeerFailedError, TimeoutError, subprocess.SubprocessError)


def main() -> None:
    """Measure, and print."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # with what it has made cleared away
    asked = arguments()
    names: list[str] = asked.peers or usual(asked)
    told: dict[str, object] = {
        "benchmark": "killed" if asked.killed else f"peers {asked.shape}",
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "tasks": asked.tasks,
        "workers": WORKERS,
        "where": {**asyncio.run(around(asked.url)), **(about_redis(asked.redis) if asked.redis else {})},
        "peers": described(names, asked.python, sys.executable),
    }
    if asked.killed:
        told |= {"pause": asked.pause, "limit": asked.limit, "restart": asked.restart}
    sys.stdout.write(tables.place(told))
    found: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    for number in range(asked.runs):
        for name in names:
            found[name].append(once(name, asked, number))
            keep(asked.json, {**told, "runs": found})
    tell = {"killed": tables.killed, "peers latency": tables.latency}.get(str(told["benchmark"]), tables.throughput)
    sys.stdout.write(tell(told, found))
    if asked.plot:
        import plots

        plots.draw({**told, "runs": found}, asked.plot)


def usual(asked: argparse.Namespace) -> list[str]:
    """Everybody who can run. What Redis promises the disk does not matter to a worker that is killed."""
    return [
        name
        for name, peer in PEERS.items()
        if (asked.redis or peer.store == "postgresql") and not (asked.killed and peer.appendfsync == "always")
    ]


async def around(url: str) -> dict[str, object]:
    """The machine, and the server's settings. Raises NotDurableError, as `coremachine bench` does."""
    async with place(Settings(url=url)) as app:
        return asdict(await surroundings(app.database))


def once(name: str, asked: argparse.Namespace, number: int) -> dict[str, object]:
    """One run, and the load that it met. A peer that fails is not the end of the others."""
    where = Where(asked.url, asked.redis, asked.python, asked.pause if asked.killed else 0.0)
    load = round(os.getloadavg()[0], 2)
    try:
        if asked.killed:
            plan = Plan(asked.tasks, asked.limit, asked.restart)
            one = asdict(run_killed(name, where, plan, "other" if number % 2 else "planner"))
        elif asked.shape == "latency":
            one = asdict(run_latency(name, where, asked.tasks))
        else:
            one = asdict(run(name, where, asked.shape, asked.tasks))
    except FAILED as error:
        one = {"failed": str(error)}
    sys.stderr.write(f"run {number + 1} {name}: {json.dumps(one)}\n")
    return {**one, "load": load}


def keep(file: Path | None, told: dict[str, object]) -> None:
    """Write what there is so far, so that a run that is cut short was not for nothing."""
    if file:
        file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--url", required=True)
    parser.add_argument("--redis")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--shape", choices=("fan", "flat", "latency"), default="fan")
    parser.add_argument("--killed", action="store_true")
    parser.add_argument("--restart", action="store_true", help="start another worker at once, as a supervisor would")
    parser.add_argument("--limit", type=float, default=120, help="seconds that a job has to end in after the kill")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds that a task lasts where one is killed")
    parser.add_argument("--tasks", type=int, help="10 000; 2 000 where a worker is killed; 200 for latency")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    asked = parser.parse_args()
    asked.tasks = asked.tasks or (2_000 if asked.killed else TASKS[asked.shape])
    unknown = set(asked.peers) - set(PEERS)
    without = [name for name in asked.peers if name in PEERS and PEERS[name].store == "redis" and not asked.redis]
    if unknown or without:
        parser.error(f"unknown peers: {sorted(unknown)}" if unknown else f"{without} need --redis")
    return asked


if __name__ == "__main__":
    main()
