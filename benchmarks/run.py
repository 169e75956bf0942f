"""Runs one peer, or all of them in alternation with CoreMachine, on the same work with two workers each.

    python benchmarks/run.py --url postgresql://… [--redis …] [PEER …]      a job of 1 → N → 1 tasks
    python benchmarks/run.py --url postgresql://… --shape flat              a flat queue of N tasks
    python benchmarks/run.py --url postgresql://… --shape latency           from a submission to its handler, when idle
    python benchmarks/run.py --url postgresql://… --killed                  one of the two workers is killed halfway

`--redis` is the URL of an empty Redis database for Celery and Dramatiq, which are skipped without one. It is emptied
after each run, and `appendfsync` is set for each of them. `--python` is an interpreter with requirements.txt installed;
by default it is the one that runs this program. The PostgreSQL peers share the server of `--url`, each in a new
database that is dropped afterwards; the login must be allowed to create one.
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
from peer_run import WORKERS, PeerFailedError, PeerOptions
from peers import PEERS, described
from stores import about_redis
from throughput import run

from coremachine.runtime.bench.environment import read_environment
from coremachine.runtime.bench.scratch_schema import scratch_schema
from coremachine.runtime.settings import Settings

TASKS = {"fan": 10_000, "flat": 10_000, "latency": 200}
FAILED = (PeerFailedError, TimeoutError, subprocess.SubprocessError)


def main() -> None:
    """Measure, and print the results."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that databases are dropped and workers stopped
    options = arguments()
    names: list[str] = options.peers or default_peers(options)
    report: dict[str, object] = {
        "benchmark": "killed" if options.killed else f"peers {options.shape}",
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "tasks": options.tasks,
        "workers": WORKERS,
        "where": {**asyncio.run(environment(options.url)), **(about_redis(options.redis) if options.redis else {})},
        "peers": described(names, options.python, sys.executable),
    }
    if options.killed:
        report |= {"pause": options.pause, "limit": options.limit, "restart": options.restart}
    sys.stdout.write(tables.header(report))
    found: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    for number in range(options.runs):
        for name in names:
            found[name].append(run_once(name, options, number))
            save(options.json, {**report, "runs": found})
    table = {"killed": tables.killed, "peers latency": tables.latency}.get(str(report["benchmark"]), tables.throughput)
    sys.stdout.write(table(report, found))
    if options.plot:
        import plots

        plots.draw({**report, "runs": found}, options.plot)


def default_peers(options: argparse.Namespace) -> list[str]:
    """Every peer that can run. How Redis syncs to disk does not matter if only a worker is killed."""
    return [
        name
        for name, peer in PEERS.items()
        if (options.redis or peer.store == "postgresql") and not (options.killed and peer.appendfsync == "always")
    ]


async def environment(url: str) -> dict[str, object]:
    """The machine and the server's settings. Raises NotDurableError, as `coremachine bench` does."""
    async with scratch_schema(Settings(url=url)) as app:
        return asdict(await read_environment(app.database))


def run_once(name: str, options: argparse.Namespace, number: int) -> dict[str, object]:
    """One run, and the load of the machine. If a peer fails, the others still run."""
    peer = PeerOptions(options.url, options.redis, options.python, options.pause if options.killed else 0.0)
    load = round(os.getloadavg()[0], 2)
    try:
        if options.killed:
            plan = Plan(options.tasks, options.limit, options.restart)
            one = asdict(run_killed(name, peer, plan, "other" if number % 2 else "planner"))
        elif options.shape == "latency":
            one = asdict(run_latency(name, peer, options.tasks))
        else:
            one = asdict(run(name, peer, options.shape, options.tasks))
    except FAILED as error:
        one = {"failed": str(error)}
    sys.stderr.write(f"run {number + 1} {name}: {json.dumps(one)}\n")
    return {**one, "load": load}


def save(file: Path | None, report: dict[str, object]) -> None:
    """Write the results so far, so that they survive if the program is interrupted."""
    if file:
        file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--url", required=True)
    parser.add_argument("--redis")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--shape", choices=("fan", "flat", "latency"), default="fan")
    parser.add_argument("--killed", action="store_true")
    parser.add_argument("--restart", action="store_true", help="start another worker at once, as a supervisor would")
    parser.add_argument("--limit", type=float, default=120, help="seconds within which the job must end after the kill")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds that a task takes with --killed")
    parser.add_argument("--tasks", type=int, help="default: 10 000; 2 000 with --killed; 200 for latency")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    options.tasks = options.tasks or (2_000 if options.killed else TASKS[options.shape])
    unknown = set(options.peers) - set(PEERS)
    without = [name for name in options.peers if name in PEERS and PEERS[name].store == "redis" and not options.redis]
    if unknown or without:
        parser.error(f"unknown peers: {sorted(unknown)}" if unknown else f"{without} need --redis")
    return options


if __name__ == "__main__":
    main()
