"""The lease renewer of a worker, seen from outside: a process among the children of the worker's."""

from pathlib import Path

from coremachine.runtime.app import AsyncCoreMachine
from tests.waiting import until, until_row

CONNECTED = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'coremachine leases'
"""


async def renewer_is_up(app: AsyncCoreMachine) -> None:
    """Wait until a renewer can renew: a test whose leases are shorter than its start must not begin before."""
    await until_row(app, CONNECTED)


def renewers_of(worker: int) -> list[int]:
    """The process ids of the renewers that the process `worker` started and that live."""
    return [pid for pid in _children_of(worker) if b"renewer_process.py" in _read(pid, "cmdline")]


async def renewer_of(worker: int, *, other_than: int = 0) -> int:
    """The renewer of a process that runs one worker, as soon as there is one."""

    async def found() -> int:
        return next((pid for pid in renewers_of(worker) if pid != other_than), 0)

    return await until(found, f"a lease renewer of process {worker}")


def _children_of(parent: int) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if _read(pid, "stat").rpartition(b")")[2].split()[1:2] == [str(parent).encode()]]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""
