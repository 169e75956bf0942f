"""Dramatiq: a group with a completion callback, on Redis; one process with eight threads in each worker."""

import os
import sys
import time

import dramatiq
import redis
from dramatiq import group
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend

REDIS = os.environ["BENCH_REDIS"]
client = redis.Redis.from_url(REDIS)
broker = RedisBroker(url=REDIS)
broker.add_middleware(GroupCallbacks(RedisBackend(url=REDIS)))
dramatiq.set_broker(broker)


@dramatiq.actor
def plan(tasks: int) -> None:
    """Fan out."""
    many = group([one.message(item) for item in range(tasks)])
    many.add_completion_callback(end.message())
    many.run()


@dramatiq.actor
def one(item: int) -> int:
    """One of many."""
    return item


@dramatiq.actor
def end() -> None:
    """Fan in."""
    client.set("fan:ended", str(time.time()))


def fan(tasks: int) -> None:
    """Submit 1 → N → 1 and wait for its end."""
    client.delete("fan:ended")
    began = time.time()
    plan.send(tasks)
    while (ended := client.get("fan:ended")) is None:
        time.sleep(0.02)
    sys.stdout.write(f"{float(ended) - began}\n")


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1] == "worker":
        os.execvp(sys.executable, [sys.executable, "-m", "dramatiq", "with_dramatiq", "-p", "1", "-t", "8"])  # noqa: S606
    elif sys.argv[1] == "fan":
        fan(int(sys.argv[2]))


if __name__ == "__main__":
    main()
