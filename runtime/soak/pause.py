"""A worker that is paused: SIGSTOP to it and to its processes, and SIGCONT after more than a lease.

Its lease renewer is stopped with it. Otherwise the leases would be renewed, and nothing would be taken away.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from signal import SIGCONT, SIGSTOP, Signals
from typing import Self

from ..embedded.processes import every_process


@dataclass(frozen=True, slots=True)
class Pause:
    """Processes that are stopped until `until`, by the monotonic clock."""

    stopped: tuple[int, ...]
    until: float

    @classmethod
    def begin(cls, pid: int, seconds: float, *, alone: bool = False) -> Self:
        """Stop a process and, unless `alone`, its descendants."""
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
        """Continue the processes. Those that have ended are ignored."""
        _send(self.stopped, SIGCONT)


def descendants(pid: int) -> list[int]:
    """The children of a process, and their children."""
    children: dict[int, list[int]] = {}
    for process in every_process():
        children.setdefault(process.parent, []).append(process.pid)
    found = children.get(pid, [])
    for one in found:
        found.extend(children.get(one, []))
    return found


def _send(pids: Iterable[int], signal: Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal)
