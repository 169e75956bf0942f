"""What a figure depends on: the machine, the versions, the server's settings. Without durability there is no figure."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...statemachine.errors import OperationError
from ..store.database import Database

DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


class NotDurableError(OperationError):
    """The server does not keep what it has committed. Carries `off`, the settings that are off."""

    def __init__(self, off: tuple[str, ...]) -> None:
        self.off = off
        super().__init__(
            f"{', '.join(off)} is off on this server: what it commits it may lose, and a figure taken here would mean"
            " nothing; set it to on and run the benchmark again"
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a run took place. `settings` are the server's, by name."""

    machine: str
    cpus: int
    python: str
    coremachine: str
    psycopg: str
    postgresql: str
    settings: dict[str, str]


async def surroundings(database: Database) -> Surroundings:
    """Look around. Raises NotDurableError."""
    async with database.session() as session:
        rows = await session.fetch("bench/settings")
    settings = {row["name"]: row["setting"] for row in rows}
    off = tuple(name for name in DURABLE if settings[name] == "off")
    if off:
        raise NotDurableError(off)
    return Surroundings(
        machine=f"{_processor()}, {platform.system()} {platform.release()}",
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        python=platform.python_version(),
        coremachine=_version("coremachine"),
        psycopg=_version("psycopg"),
        postgresql=settings.pop("server_version"),
        settings=settings,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "from its sources"
