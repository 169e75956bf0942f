"""DBOS: a workflow that enqueues N workflows and waits for each; that wait is the fan-in."""

import signal
import sys
from threading import Event

import counter
import marks
from dbos import DBOS, DBOSConfig

config: DBOSConfig = {"name": "bench", "system_database_url": counter.DSN, "run_admin_server": False}
DBOS(config=config)


@DBOS.workflow()
def one(item: int) -> int:
    """One task of many."""
    marks.work(item)
    return item


@DBOS.workflow()
def plan(tasks: int) -> int:
    """Fan out and in."""
    marks.planned()
    handles = [DBOS.enqueue_workflow("work", one, item) for item in range(tasks)]
    found = len([handle.get_result() for handle in handles])
    marks.ended()
    return found


@DBOS.workflow()
def sample(submitted_us: int) -> None:
    """Record how long the task has waited."""
    marks.record_latency(submitted_us)


def fan(tasks: int) -> None:
    """Submit 1 → N → 1."""
    marks.submitted()
    DBOS.enqueue_workflow("jobs", plan, tasks)


def flat(tasks: int) -> None:
    """Submit a flat queue."""
    marks.submitted()
    for item in range(tasks):
        DBOS.enqueue_workflow("work", one, item)


def latency(samples: int) -> None:
    """Submit one workflow after another."""
    for submitted_us in marks.samples(samples):
        DBOS.enqueue_workflow("jobs", sample, submitted_us)


def work() -> None:
    """Work until SIGTERM."""
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    stopped.wait()


def main() -> None:
    """Run the role that the command line names. A submitter takes no work."""
    role = sys.argv[1]
    if role != "worker":
        DBOS.listen_queues([])
    DBOS.launch()
    DBOS.register_queue("work", worker_concurrency=50, polling_interval_sec=0.05)
    DBOS.register_queue("jobs", worker_concurrency=2, polling_interval_sec=0.05)
    if role == "worker":
        work()
    elif role == "fan":
        fan(int(sys.argv[2]))
    elif role == "flat":
        flat(int(sys.argv[2]))
    elif role == "latency":
        latency(int(sys.argv[2]))
    DBOS.destroy()


main()
