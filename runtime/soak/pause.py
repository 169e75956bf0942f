"""A worker that stands still: SIGSTOP to it and to its processes, and SIGCONT after longer than a lease.

Its lease renewer is stopped with it. Alone, the renewer would go on renewing, and nothing would be taken away.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP, Signals
from typing import Self

PARENT = 1
"""Where the parent stands in /proc/PID/stat, behind the name of the program."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Processes that stand still until `until`, by the monotonic clock."""

    stopped: tuple[int, ...]
    until: float

    @classmethod
    def begin(cls, pid: int, seconds: float, *, alone: bool = False) -> Self:
        """Stop a process, and unless it is `alone` every process below it."""
        stopped = [pid]
        _send(stopped, SIGSTOP)
        while not alone and (found := [one for one in descendants(pid) if one not in stopped]):
            _send(found, SIGSTOP)
            stopped += found
        return cls(tuple(stopped), time.monotonic() + seconds)

    @property
    def over(self) -> bool:
        """Whether its time is up."""
        return time.monotonic() >= self.until

    def end(self) -> None:
        """Let them run again. Does nothing to those that have ended."""
        _send(self.stopped, SIGCONT)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = children.get(pid, [])
    for one in found:
        found.extend(children.get(one, []))
    return found


def _send(pids: Iterable[int], signal: Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal)


def _parents() -> Iterator[tuple[int, int]]:
    return _parents_from_proc() if sys.platform == "linux" else _parents_from_ps()


def _parents_from_proc() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it has ended meanwhile
                words = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                yield int(entry.name), int(words[PARENT])


def _parents_from_ps() -> Iterator[tuple[int, int]]:
    listing = subprocess.run(["/bin/ps", "-ax", "-o", "pid=,ppid="], check=True, capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)
