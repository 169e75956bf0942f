"""What a run cost: processor seconds, which a busy machine changes little, and bytes of write-ahead log."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..store.database import Database

SPENT = slice(11, 13)  # utime and stime of /proc/PID/stat, counted from the state that follows the name
SPENT_WITH_CHILDREN = slice(11, 15)  # and those of its children that have ended
PARENT = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """Totals so far. `python` and `server` are seconds of processor time; None if they cannot be read."""

    python: float | None
    server: float | None
    wal_bytes: int

    def since(self, before: "Cost") -> "Cost":
        """What was added after `before`."""
        return Cost(
            _less(self.python, before.python), _less(self.server, before.server), self.wal_bytes - before.wal_bytes
        )


async def cost_so_far(database: Database, workers: Iterable[int]) -> Cost:
    """The cost so far of the processes `workers` and of the server. Only a local server shows its processor time."""
    async with database.session() as session:
        (row,) = await session.fetch("bench/wal_position")
    return Cost(_spent(workers), _server(row["pid"]), row["wal_bytes"])


def _server(backend: int) -> float | None:
    """Processor seconds of all of the server's processes, including those that have ended."""
    own = _stat(backend)
    if own is None or not _is_postgres(backend):
        return None
    postmaster = int(own[PARENT])
    found = _stat(postmaster)
    if found is None:
        return None
    living = [fields for pid in _processes() if (fields := _stat(pid)) and int(fields[PARENT]) == postmaster]
    return (_ticks(found[SPENT_WITH_CHILDREN]) + sum(_ticks(one[SPENT]) for one in living)) / os.sysconf("SC_CLK_TCK")


def processor_seconds(backend: int) -> float | None:
    """Processor seconds of one of the server's processes; None if they cannot be read."""
    if not _is_postgres(backend):
        return None
    try:
        return int(Path(f"/proc/{backend}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e9
    except OSError:
        return None


def _spent(pids: Iterable[int]) -> float | None:
    found = [_stat(pid) for pid in pids]
    if any(one is None for one in found):
        return None
    return sum(_ticks(one[SPENT_WITH_CHILDREN]) for one in found if one) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None


def _is_postgres(pid: int) -> bool:
    """Whether this is a server process. The process id of a server elsewhere may be that of another program here."""
    try:
        return "postgres" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
    except OSError:
        return False


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _ticks(fields: list[str]) -> int:
    return sum(map(int, fields))


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
