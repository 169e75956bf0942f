"""The systems that are measured: their programs, their settings, and what their users have to write."""

import subprocess
from dataclasses import asdict, dataclass
from typing import Literal

COUNTER = "the fan-in counter"
VERSION = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]), sep='\\n')"


@dataclass(frozen=True, slots=True)
class Peer:
    """One system. `share` divides the tasks of a slow one; `returns` is what returns the tasks of a dead worker."""

    program: str
    distribution: str
    store: Literal["postgresql", "redis"]
    settings: str
    by_hand: str
    returns: str
    share: int = 1
    appendfsync: str = ""


def _celery(appendfsync: str) -> Peer:
    return Peer(
        program="celery",
        distribution="celery",
        store="redis",
        settings=f"acks late, prefetch 128, one process a worker; appendfsync {appendfsync}",
        by_hand="nothing: a chord",
        returns="the visibility timeout, an hour by default",
        appendfsync=appendfsync,
    )


def _dramatiq(appendfsync: str) -> Peer:
    return Peer(
        program="dramatiq",
        distribution="dramatiq",
        store="redis",
        settings=f"one process of eight threads a worker; appendfsync {appendfsync}",
        by_hand="nothing: a group with a callback",
        returns="a heartbeat that is 60 s old, checked at one command in a thousand",
        appendfsync=appendfsync,
    )


PEERS = {
    "coremachine": Peer(
        program="coremachine",
        distribution="coremachine",
        store="postgresql",
        settings="defaults",
        by_hand="nothing: three stages",
        returns="a lease of 10 s",
    ),
    "pgqueuer": Peer(
        program="pgqueuer",
        distribution="pgqueuer",
        store="postgresql",
        settings="batches of 100, asyncpg, logged tables",
        by_hand=COUNTER,
        returns="a heartbeat that is 30 s old",
    ),
    "awa": Peer(
        program="awa",
        distribution="awa-pg",
        store="postgresql",
        settings="50 concurrent tasks a worker, its Rust engine, asyncpg in handlers",
        by_hand=COUNTER,
        returns="a heartbeat that has stopped",
    ),
    "procrastinate": Peer(
        program="procrastinate",
        distribution="procrastinate",
        store="postgresql",
        settings="50 concurrent tasks a worker, psycopg",
        by_hand=f"{COUNTER}, a periodic task for stalled jobs",
        returns="that periodic task, once a minute, for workers whose heartbeat is 30 s old",
        share=2,
    ),
    "dbos": Peer(
        program="dbos",
        distribution="dbos",
        store="postgresql",
        settings="50 concurrent tasks a worker, queues polled every 50 ms",
        by_hand="nothing: a workflow that waits",
        returns="the restart of a process with the same executor ID, or its hosted Conductor",
        share=10,
    ),
    "celery": _celery("everysec"),
    "celery-always": _celery("always"),
    "dramatiq": _dramatiq("everysec"),
    "dramatiq-always": _dramatiq("always"),
}


def described(names: list[str], python: str, own: str) -> dict[str, dict[str, object]]:
    """The description of each system, with its installed version."""
    pythons = {name: own if name == "coremachine" else python for name in names}
    versions = {name: _version(PEERS[name].distribution, chosen) for name, chosen in pythons.items()}
    return {name: {**asdict(PEERS[name]), "version": version} for name, version in versions.items()}


def _version(distribution: str, python: str) -> str:
    command = [python, "-c", VERSION, distribution]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
