"""Ten thousand tasks over the broker with two worker processes, and what the bare SDK does in the same run.

    python -m tests.integration.servicebus.rates [--tasks 10000] [--dsn postgresql://…]

Needs a PostgreSQL on which databases may be made (--dsn, COREMACHINE_TEST_DSN, or the embedded one). The broker runs in
a process of its own. It prints what was lost, what ran twice, and the rates, and exits 1 where anything was, or where
the rate is less than half of that of as many processes which do nothing but send, receive and complete.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.settings import Settings
from tests.acceptance.exactly_once import tasks_that_ran_otherwise
from tests.databases import served, url_of
from tests.integration.servicebus.bare_sdk import bare_rate
from tests.integration.servicebus.faults import SUMS
from tests.servicebus.brokers import BrokerProcess, RemoteBroker
from tests.waiting import until_row, until_status

ROOT = Path(__file__).parents[3]
WORKERS = 2
BARE = ("bare-1", "bare-2")
QUEUES = ("coremachine-jobs", "coremachine-tasks", *BARE)
LEAST = 0.5
LONGEST = 600.0


def main() -> int:
    """Run both and print what came of it."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--tasks", type=int, default=10_000)
    given.add_argument("--dsn", default=os.environ.get("COREMACHINE_TEST_DSN"))
    said = given.parse_args()
    with served(said.dsn) as server, database_on(server) as url, BrokerProcess(dict.fromkeys(QUEUES)) as broker:
        before = bare_rate(broker.connection_string, list(BARE), said.tasks)
        lost, otherwise, findings, seconds = asyncio.run(whole_way(url, broker, said.tasks))
        after = bare_rate(broker.connection_string, list(BARE), said.tasks)
        held = broker.counters("coremachine-tasks")
    bare, rate = (before + after) / 2, said.tasks / seconds
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    for row in (
        ("", "per second", "processes"),
        ("---", "---", "---"),
        ("bare SDK, before and after", f"{before:,.0f} and {after:,.0f} messages", str(len(BARE))),
        ("jobs over the broker", f"{rate:,.0f} tasks", str(WORKERS)),
        ("ratio", f"{rate / bare:.2f}", f"at least {LEAST}"),
    ):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    sys.stdout.write(
        f"{said.tasks} tasks in {seconds:.1f} s at a load of {load}: lost {lost}, not run exactly once {otherwise},"
        f" audit {findings or 'clean'}; messages sent {held.enqueued}, left {held.held}\n"
    )
    return 1 if lost or otherwise or findings or rate < LEAST * bare else 0


async def whole_way(url: str, broker: RemoteBroker, number: int) -> tuple[int, int, str, float]:
    """Tasks lost, tasks that did not run exactly once, gaps found, and the seconds from submission to the end."""
    settings = Settings(bus="servicebus", servicebus=broker.connection_string)
    async with AsyncCoreMachine(url, jobs=[SUMS], settings=settings, install=True) as app:
        with workers(url, broker.connection_string, WORKERS):
            await until_row(app, "SELECT 1 FROM app.workers HAVING count(*) = %s", WORKERS, within=LONGEST)
            began = time.monotonic()
            submitted = await app.submit(SUMS, count=number)
            await until_status(app, submitted.id, "completed", "failed", within=LONGEST)
            seconds = time.monotonic() - began
        job = await app.job(submitted.id)
        ended = sum(stage["tasks_completed"] for stage in job["stages"])
        otherwise = await tasks_that_ran_otherwise(app, submitted.id)
        findings = ", ".join(finding.id for finding in (await app.audit()).findings)
        return number + 2 - ended, len(otherwise), findings, seconds


@contextmanager
def workers(url: str, connection: str, number: int) -> Generator[None]:
    """Worker processes of the command line, ended gracefully with the block."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COREMACHINE_URL": url,
        "COREMACHINE_BUS": "servicebus",
        "COREMACHINE_SERVICEBUS": connection,
        "COREMACHINE_CONCURRENCY": "16",
        "COREMACHINE_PREFETCH": "200",
    }
    command = [sys.executable, "-m", "coremachine", "worker", "--app", "tests.integration.servicebus.faults:SUMS"]
    started = [subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(number)]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


@contextmanager
def database_on(server: str) -> Generator[str]:
    """A new database, for as long as the block lasts."""
    name = sql.Identifier(f"rates_{uuid4().hex[:12]}")
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield url_of(server, name.as_string().strip('"'))
        finally:
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


if __name__ == "__main__":
    sys.exit(main())
