"""DBOS: a workflow that enqueues N workflows and waits for each; its fan-in is the waiting."""

import sys
import time

import counter
from dbos import DBOS, DBOSConfig

config: DBOSConfig = {"name": "bench", "system_database_url": counter.DSN, "run_admin_server": False}
DBOS(config=config)


@DBOS.workflow()
def one(item: int) -> int:
    """One of many."""
    return item


@DBOS.workflow()
def plan(tasks: int) -> int:
    """Fan out and in."""
    handles = [DBOS.enqueue_workflow("work", one, item) for item in range(tasks)]
    return len([handle.get_result() for handle in handles])


def fan(tasks: int) -> None:
    """Submit 1 → N → 1 and wait for its end."""
    began = time.time()
    DBOS.enqueue_workflow("jobs", plan, tasks).get_result(polling_interval_sec=0.02)
    sys.stdout.write(f"{time.time() - began}\n")


def main() -> None:
    """Do what the command line says; a submitter takes no work."""
    role = sys.argv[1]
    if role != "worker":
        DBOS.listen_queues([])
    DBOS.launch()
    DBOS.register_queue("work", worker_concurrency=50, polling_interval_sec=0.05)
    DBOS.register_queue("jobs", worker_concurrency=2, polling_interval_sec=0.05)
    if role == "worker":
        while True:
            time.sleep(60)
    if role == "fan":
        fan(int(sys.argv[2]))
    DBOS.destroy()


main()
