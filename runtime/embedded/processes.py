"""What the system tells of processes: which live, and which of them belong to a server.

A server carries its cluster's name in the command line of the postmaster and in the titles of its backends. Command
lines can be read by everybody; a process's working directory cannot, not even by root in a container.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAME_PREFIX = "coremachine-"


def is_alive(pid: int) -> bool:
    """Tell whether a process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def processes_of(cluster_name: str) -> list[int]:
    """Return the processes of the server of this name."""
    return [pid for pid, command in every_process() if _is_postgres(command) and cluster_name in command]


def may_serve(pid: int, cluster_name: str) -> bool:
    """Tell whether a process can be a server of this cluster: a PostgreSQL, and not that of another of our clusters."""
    commands = [command for found, command in every_process() if found == pid]
    return any(
        _is_postgres(command) and (cluster_name in command or f"cluster_name={NAME_PREFIX}" not in command)
        for command in commands
    )


def _is_postgres(command: str) -> bool:
    """Tell by a postmaster's `/path with spaces/postgres -c …` or a backend's `postgres: … title`."""
    program = command.partition(" -")[0].partition(":")[0].rstrip()
    return program.rpartition("/")[2] in {"postgres", "postmaster"}


def every_process() -> Iterator[tuple[int, str]]:
    """The number and the command line of each process that lives."""
    return _from_proc() if sys.platform == "linux" else _from_ps()


def _from_proc() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            yield int(entry.name), command.replace(b"\0", b" ").decode(errors="replace")


def _from_ps() -> Iterator[tuple[int, str]]:
    listing = subprocess.run(
        ["/bin/ps", "-axww", "-o", "pid=,command="], check=True, capture_output=True, text=True, errors="replace"
    )
    for line in listing.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command
