"""Celery: a chord, which is its own fan-in, on Redis as broker and backend; one process in each worker."""

import os
import sys
import time

from celery import Celery, chord

REDIS = os.environ["BENCH_REDIS"]
app = Celery("with_celery", broker=REDIS, backend=REDIS)
app.conf.update(worker_prefetch_multiplier=128, broker_connection_retry_on_startup=True, task_acks_late=True)


@app.task(name="plan")
def plan(tasks: int) -> None:
    """Fan out."""
    chord((one.s(item) for item in range(tasks)), end.s()).apply_async()


@app.task(name="work")
def one(item: int) -> int:
    """One of many."""
    return item


@app.task(name="count")
def end(results: list[int]) -> int:
    """Fan in."""
    app.backend.client.set("fan:ended", str(time.time()))
    return len(results)


def fan(tasks: int) -> None:
    """Submit 1 → N → 1 and wait for its end."""
    client = app.backend.client
    client.delete("fan:ended")
    began = time.time()
    plan.delay(tasks)
    while (ended := client.get("fan:ended")) is None:
        time.sleep(0.02)
    sys.stdout.write(f"{float(ended) - began}\n")


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1] == "worker":
        options = ["-A", "with_celery", "worker", "-c", "1", "-l", "ERROR", "--without-gossip", "--without-mingle"]
        os.execvp(sys.executable, [sys.executable, "-m", "celery", *options, "-n", f"w{os.getpid()}@%h"])  # noqa: S606
    elif sys.argv[1] == "fan":
        fan(int(sys.argv[2]))


if __name__ == "__main__":
    main()
