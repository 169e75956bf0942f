"""Every fault of the broker, with what became of a job while it was there.

    python -m tests.integration.servicebus.table [--tasks 500] [--workers 2] [--dsn postgresql://…]

Prints a table, and exits 1 where a job did not end, a task did not count once, or the audit found something.
"""

import argparse
import asyncio
import logging
import os
import sys

from coremachine import Job
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.servicebus import ServiceBusTransport
from coremachine.runtime.bus.servicebus.namespace import Namespace
from coremachine.runtime.settings import Settings
from tests.databases import served
from tests.integration.servicebus.conftest import Queues
from tests.integration.servicebus.faults import FAULTS, Fault, Outcome, run_under
from tests.integration.servicebus.rates import database_on
from tests.servicebus.brokers import Broker

HEAD = ("fault", "job", "tasks that did not run exactly once", "audit", "seconds")


def main() -> int:
    """Run a job under each fault and print what became of it."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--tasks", type=int, default=500)
    given.add_argument("--workers", type=int, default=2)
    given.add_argument("--dsn", default=os.environ.get("COREMACHINE_TEST_DSN"))
    said = given.parse_args()
    logging.getLogger("azure").setLevel(logging.CRITICAL + 1)
    print_row(HEAD)
    print_row(("---",) * len(HEAD))
    bad = 0
    with served(said.dsn) as server:
        for fault in FAULTS:
            with database_on(server) as url, Broker() as broker:
                outcome = asyncio.run(judged(fault, url, broker, said.tasks, said.workers))
            good = outcome.result == said.tasks * (said.tasks - 1) and not outcome.ran_otherwise
            bad += not (good and not outcome.findings)
            found = ", ".join(outcome.findings) or "clean"
            print_row((fault.name, outcome.status, str(outcome.ran_otherwise), found, f"{outcome.seconds:.1f}"))
    return 1 if bad else 0


async def judged(fault: Fault, url: str, broker: Broker, tasks: int, workers: int) -> Outcome:
    """A job under one fault, on queues whose locks last three seconds."""
    opened: list[AsyncCoreMachine] = []

    async def open_app(*jobs: Job, **settings: object) -> AsyncCoreMachine:
        transport = ServiceBusTransport(Namespace(broker.connection_string), probe_every=2.0)
        given = Settings.model_validate({"poll": 0.2, "grace": 2.0, **settings})
        app = await AsyncCoreMachine(url, jobs=jobs, settings=given, install=True, bus=transport).open()
        opened.append(app)
        return app

    queues = Queues(broker, "", open_app)
    for queue in (queues.jobs, queues.tasks):
        broker.create_queue(queue, requires_duplicate_detection=True, lock_duration=3.0)
    try:
        return await run_under(fault, queues, tasks, workers=workers)
    finally:
        for app in opened:
            await app.close()


def print_row(cells: tuple[str, ...]) -> None:
    """One row of the table, at once."""
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
