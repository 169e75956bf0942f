"""What a measurement depends on: machine, versions, server settings. A server that is not durable is refused."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...statemachine.errors import OperationError
from ..store.database import Database

DURABILITY_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")


class NotDurableError(OperationError):
    """The server may lose what it has committed. Carries `off`, the settings that are off."""

    def __init__(self, off: tuple[str, ...]) -> None:
        self.off = off
        super().__init__(
            f"{', '.join(off)} is off on this server, so that it may lose what it commits and a measurement means"
            " nothing; set it to on and run the benchmark again"
        )


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a run took place. `settings` are the server's, by name."""

    machine: str
    cpus: int
    python: str
    coremachine: str
    psycopg: str
    postgresql: str
    settings: dict[str, str]


async def read_environment(database: Database) -> Environment:
    """Read it from this machine and from the server. Raises NotDurableError."""
    async with database.session() as session:
        rows = await session.fetch("bench/settings")
    settings = {row["name"]: row["setting"] for row in rows}
    off = tuple(name for name in DURABILITY_SETTINGS if settings[name] == "off")
    if off:
        raise NotDurableError(off)
    return Environment(
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
