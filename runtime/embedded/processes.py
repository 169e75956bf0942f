"""The processes of this machine: which are alive, and which of them belong to a server.

A server carries its cluster's name in the command line of the postmaster and in the titles of its backends. Everybody
can read command lines; a process's working directory cannot be read, not even by root in a container.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

NAME_PREFIX = "coremachine-"
PARENT = 1  # position in /proc/PID/stat, after the name of the program


class Process(NamedTuple):
    """A process of this machine, and the id of its parent."""

    pid: int
    parent: int
    command: str


def is_alive(pid: int) -> bool:
    """Whether a process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def processes_of(cluster_name: str) -> list[int]:
    """Return the processes of the server with this name."""
    return [one.pid for one in every_process() if _is_postgres(one.command) and cluster_name in one.command]


def may_serve(pid: int, cluster_name: str) -> bool:
    """Whether a process can be a server of this cluster: a PostgreSQL that is not that of another of our clusters."""
    commands = [one.command for one in every_process() if one.pid == pid]
    return any(
        _is_postgres(command) and (cluster_name in command or f"cluster_name={NAME_PREFIX}" not in command)
        for command in commands
    )


def _is_postgres(command: str) -> bool:
    """Recognise a postmaster's `/path with spaces/postgres -c …` or a backend's `postgres: … title`."""
    program = command.partition(" -")[0].partition(":")[0].rstrip()
    return program.rpartition("/")[2] in {"postgres", "postmaster"}


def every_process() -> Iterator[Process]:
    """Every process that is alive."""
    return _from_proc() if sys.platform == "linux" else _from_ps()


def _from_proc() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it has ended meanwhile
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield Process(int(entry.name), int(fields[PARENT]), command)


def _from_ps() -> Iterator[Process]:
    listing = subprocess.run(
        ["/bin/ps", "-axww", "-o", "pid=,ppid=,command="], check=True, capture_output=True, text=True, errors="replace"
    )
    for line in listing.stdout.splitlines():
        pid, parent, command = [*line.split(maxsplit=2), ""][:3]
        yield Process(int(pid), int(parent), command)
