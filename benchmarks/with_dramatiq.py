"""Dramatiq: a group with a completion callback, on Redis; one process with eight threads in each worker."""

import os
import sys

import dramatiq
import marks
from dramatiq import group
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend

REDIS = os.environ["BENCH_REDIS"]
broker = RedisBroker(url=REDIS)
broker.add_middleware(GroupCallbacks(RedisBackend(url=REDIS)))
dramatiq.set_broker(broker)


@dramatiq.actor
def plan(tasks: int) -> None:
    """Fan out."""
    marks.planned()
    many = group([one.message(item) for item in range(tasks)])
    many.add_completion_callback(end.message())
    many.run()


@dramatiq.actor
def one(item: int) -> int:
    """One task of many."""
    marks.work(item)
    return item


@dramatiq.actor
def sample(submitted_us: int) -> None:
    """Record how long the task has waited."""
    marks.record_latency(submitted_us)


@dramatiq.actor
def end() -> None:
    """Fan in."""
    marks.ended()


def fan(tasks: int) -> None:
    """Submit 1 → N → 1."""
    marks.submitted()
    plan.send(tasks)


def flat(tasks: int) -> None:
    """Submit a flat queue."""
    marks.submitted()
    for item in range(tasks):
        one.send(item)


def latency(samples: int) -> None:
    """Submit one task after another."""
    for submitted_us in marks.samples(samples):
        sample.send(submitted_us)


def main() -> None:
    """Run the role that the command line names."""
    if sys.argv[1] == "worker":
        os.execvp(sys.executable, [sys.executable, "-m", "dramatiq", "with_dramatiq", "-p", "1", "-t", "8"])  # noqa: S606
    elif sys.argv[1] == "fan":
        fan(int(sys.argv[2]))
    elif sys.argv[1] == "flat":
        flat(int(sys.argv[2]))
    elif sys.argv[1] == "latency":
        latency(int(sys.argv[2]))


if __name__ == "__main__":
    main()
