"""One peer, or all of them in alternation with CoreMachine, on the same work: a job of 1 → N → 1 tasks, two workers.

    python benchmarks/run.py --url postgresql://… [--tasks 10000] [--runs 5] [--python …] [--redis …] [PEER …]

`--python` is an interpreter with requirements.txt installed, `--redis` the URL of a Redis for Celery and Dramatiq,
which are left out without one. The PostgreSQL peers share the server of `--url`, each in a database of its own that is
dropped afterwards. Prints a table, and with `--json` everything.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

HERE = Path(__file__).parent
POSTGRESQL = ("pgqueuer", "awa", "procrastinate", "dbos")
REDIS = ("celery", "dramatiq")
SLOW = {"dbos": 10, "procrastinate": 2}
WORKERS = 2
READY = 3.0
PATIENCE = 600


def main() -> None:
    """Measure, and print."""
    asked = arguments()
    peers = asked.peers or ["coremachine", *POSTGRESQL, *(REDIS if asked.redis else ())]
    found: dict[str, list[float]] = {peer: [] for peer in peers}
    for number in range(asked.runs):
        for peer in peers:
            speed = ours(asked) if peer == "coremachine" else theirs(peer, asked)
            found[peer].append(round(speed, 1))
            sys.stderr.write(f"run {number + 1} {peer}: {speed:.0f} tasks/s\n")
    if asked.json:
        sys.stdout.write(json.dumps({"tasks": asked.tasks, "load": os.getloadavg(), "tasks_per_second": found}) + "\n")
        return
    sys.stdout.write("| system | tasks/s, median | spread | beside CoreMachine |\n|---|---|---|---|\n")
    for peer, speeds in sorted(found.items(), key=lambda one: -median(one[1])):
        beside = "" if "coremachine" not in found else ratio(found["coremachine"], speeds)
        sys.stdout.write(f"| {peer} | {median(speeds):.0f} | {min(speeds):.0f}-{max(speeds):.0f} | {beside} |\n")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"coremachine, {', '.join(POSTGRESQL + REDIS)}")
    parser.add_argument("--url", required=True)
    parser.add_argument("--redis")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def ours(asked: argparse.Namespace) -> float:
    """One run of CoreMachine."""
    command = ["bench", "throughput", "--tasks", str(asked.tasks), "--workers", str(WORKERS), "--runs", "1", "--json"]
    environment = {**os.environ, "COREMACHINE_URL": asked.url}
    told = subprocess.run(
        [sys.executable, "-m", "coremachine", *command],
        env=environment,
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    return float(json.loads(told.stdout)["tasks_per_second"])


def theirs(peer: str, asked: argparse.Namespace) -> float:
    """One run of a peer, after one of a tenth to warm up. A slow one is given fewer tasks."""
    tasks = max(asked.tasks // SLOW.get(peer, 1), 10)
    with database(asked.url) as url:
        environment = {**os.environ, "BENCH_DSN": url, "BENCH_REDIS": asked.redis or ""}
        program = [asked.python, f"with_{peer}.py"]
        if peer in POSTGRESQL:
            subprocess.run([*program, "install"], cwd=HERE, env=environment, check=True, timeout=PATIENCE)
        with workers(program, environment):
            for number in (max(tasks // 10, 10), tasks):
                fan = [*program, "fan", str(number)]
                told = subprocess.run(
                    fan, cwd=HERE, env=environment, check=True, stdout=subprocess.PIPE, timeout=PATIENCE
                )
    return tasks / float(told.stdout.split()[-1])


@contextmanager
def workers(program: list[str], environment: dict[str, str]) -> Generator[None]:
    """Two worker processes, killed at the end: what they would do about it is not what is measured."""
    with tempfile.TemporaryFile() as said:
        started = [
            subprocess.Popen([*program, "worker"], cwd=HERE, env=environment, stdout=said, stderr=said)
            for _ in range(WORKERS)
        ]
        time.sleep(READY)
        try:
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@contextmanager
def database(url: str) -> Generator[str]:
    """A database of its own on the server, as a URL that every peer reads."""
    name = f"peer_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield as_url(url, name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def as_url(url: str, name: str) -> str:
    """The same server and another database."""
    parts = conninfo_to_dict(url)
    login = f"{parts['user']}:{parts['password']}@" if parts.get("password") else f"{parts['user']}@"
    host, port = str(parts.get("host", "localhost")), parts.get("port", 5432)
    if host.startswith("/"):
        return f"postgresql://{login}/{name}?{urlencode({'host': host, 'port': port})}"
    return f"postgresql://{login}{host}:{port}/{name}"


def ratio(ours_: list[float], theirs_: list[float]) -> str:
    """How many times as fast CoreMachine was, run by run."""
    return f"1 : {median(a / b for a, b in zip(ours_, theirs_, strict=True)):.1f}"


if __name__ == "__main__":
    main()
