"""What a worker holds: the claims it must keep alive until their outcome is committed."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Stop = Callable[[str], None]


@dataclass
class Held:
    """Leases by kind and key. Read by the lease keeper's thread, written by the worker's loop."""

    tasks: dict[str, tuple[int, Stop]] = field(default_factory=dict[str, tuple[int, Stop]])
    jobs: dict[str, int] = field(default_factory=dict[str, int])
    callbacks: dict[str, int] = field(default_factory=dict[str, int])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hold_tasks(self, claimed: Iterable[tuple[str, int, Stop]]) -> None:
        """Keep the leases of many tasks: key, lease number, and what is called when the task is asked to stop."""
        with self.lock:
            for key, lease_number, stop in claimed:
                self.tasks[key] = (lease_number, stop)

    def drop_tasks(self, keys: Iterable[str]) -> None:
        """The outcomes of these tasks are committed."""
        with self.lock:
            for key in keys:
                self.tasks.pop(key, None)

    def drop_task(self, key: str) -> None:
        """The task's outcome is committed, or no longer ours to commit."""
        with self.lock:
            self.tasks.pop(key, None)

    def hold(self, kind: str, key: str, lease_number: int) -> None:
        """Keep the lease of a job message or a callback."""
        with self.lock:
            self._of(kind)[key] = lease_number

    def drop(self, kind: str, key: str) -> None:
        """The message has been handled, or the callback's outcome committed."""
        with self.lock:
            self._of(kind).pop(key, None)

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not (self.tasks or self.jobs or self.callbacks)

    def snapshot(self) -> tuple[dict[str, tuple[int, Stop]], dict[str, int], dict[str, int]]:
        """Copies for another thread."""
        with self.lock:
            return dict(self.tasks), dict(self.jobs), dict(self.callbacks)

    def _of(self, kind: str) -> dict[str, int]:
        return self.jobs if kind == "job" else self.callbacks
