"""Celery: a chord, which includes the fan-in, with Redis as broker and backend; one process in each worker."""

import os
import sys

import marks
from celery import Celery, chord

REDIS = os.environ["BENCH_REDIS"]
app = Celery("with_celery", broker=REDIS, backend=REDIS)
app.conf.update(worker_prefetch_multiplier=128, broker_connection_retry_on_startup=True, task_acks_late=True)


@app.task(name="plan", ignore_result=True)
def plan(tasks: int) -> None:
    """Fan out."""
    marks.planned()
    chord((one.s(item) for item in range(tasks)), end.s()).apply_async()


@app.task(name="work")
def one(item: int) -> int:
    """One task of many."""
    marks.work(item)
    return item


@app.task(name="alone", ignore_result=True)
def alone(item: int) -> None:
    """One task of the flat queue."""
    marks.work(item)


@app.task(name="sample", ignore_result=True)
def sample(submitted_us: int) -> None:
    """Record how long the task has waited."""
    marks.record_latency(submitted_us)


@app.task(name="count", ignore_result=True)
def end(results: list[int]) -> int:
    """Fan in."""
    marks.ended()
    return len(results)


def fan(tasks: int) -> None:
    """Submit 1 → N → 1."""
    marks.submitted()
    plan.delay(tasks)


def flat(tasks: int) -> None:
    """Submit a flat queue."""
    marks.submitted()
    with app.producer_pool.acquire() as producer:
        for item in range(tasks):
            alone.apply_async((item,), producer=producer)


def latency(samples: int) -> None:
    """Submit one task after another."""
    for submitted_us in marks.samples(samples):
        sample.delay(submitted_us)


def main() -> None:
    """Run the role that the command line names."""
    if sys.argv[1] == "worker":
        options = ["-A", "with_celery", "worker", "-c", "1", "-l", "ERROR", "--without-gossip", "--without-mingle"]
        os.execvp(sys.executable, [sys.executable, "-m", "celery", *options, "-n", f"w{os.getpid()}@%h"])  # noqa: S606
    elif sys.argv[1] == "fan":
        fan(int(sys.argv[2]))
    elif sys.argv[1] == "flat":
        flat(int(sys.argv[2]))
    elif sys.argv[1] == "latency":
        latency(int(sys.argv[2]))


if __name__ == "__main__":
    main()
