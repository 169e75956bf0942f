"""What a run cost: seconds of processor, bytes of write-ahead log. A busy machine changes the first little."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..store.database import Database

SPENT = slice(11, 13)  # utime and stime of /proc/PID/stat, counted from the state that follows the name
SPENT_BY_THE_DEAD = slice(11, 15)
PARENT = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """Totals so far. `python` and `server` are seconds of processor time; None where they cannot be read."""

    python: float | None
    server: float | None
    wal_bytes: int

    def since(self, before: "Cost") -> "Cost":
        """What was added after `before`."""
        return Cost(
            _less(self.python, before.python), _less(self.server, before.server), self.wal_bytes - before.wal_bytes
        )


async def cost_so_far(database: Database, workers: Iterable[int]) -> Cost:
    """What the processes `workers` and the server have spent. A server on another machine shows no processor time."""
    async with database.session() as session:
        (row,) = await session.fetch("bench/position")
    return Cost(_spent(workers), _server(row["pid"]), row["wal_bytes"])


def _server(backend: int) -> float | None:
    """All that the server's processes have spent, those that have ended too."""
    own = _stat(backend)
    if own is None or not _is_postgres(backend):
        return None
    postmaster = int(own[PARENT])
    found = _stat(postmaster)
    if found is None:
        return None
    living = [fields for pid in _processes() if (fields := _stat(pid)) and int(fields[PARENT]) == postmaster]
    return (_ticks(found[SPENT_BY_THE_DEAD]) + sum(_ticks(one[SPENT]) for one in living)) / os.sysconf("SC_CLK_TCK")


def on_processor(backend: int) -> float | None:
    """Seconds that one of the server's processes has had a processor; None where that cannot be read."""
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
    return sum(_ticks(one[SPENT_BY_THE_DEAD]) for one in found if one) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None


def _is_postgres(pid: int) -> bool:
    """A server elsewhere has process ids of its own, which mean somebody else here."""
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
