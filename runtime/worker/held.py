"""What a worker holds: the claims it must keep alive until their outcome is committed."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

Stop = Callable[[str], None]


@dataclass(slots=True)
class HeldTask:
    """A task's lease; `stop` is called when its stage asks it to stop. Its time runs once it has `begun`."""

    lease_number: int
    stop: Stop
    begun: bool = False


@dataclass
class Held:
    """Leases by kind and key. Read by the lease keeper's thread, written by the worker's loop."""

    tasks: dict[str, HeldTask] = field(default_factory=dict[str, HeldTask])
    jobs: dict[str, int] = field(default_factory=dict[str, int])
    callbacks: dict[str, int] = field(default_factory=dict[str, int])
    lock: threading.Lock = field(default_factory=threading.Lock)
    watched: dict[tuple[str, str], asyncio.Future[None]] = field(
        default_factory=dict[tuple[str, str], "asyncio.Future[None]"]
    )

    def watch(self, kind: str, key: str) -> "asyncio.Future[None]":
        """Done when what is, or is about to be, held under this key no longer is. Called on the loop."""
        return self.watched.setdefault((kind, key), asyncio.get_running_loop().create_future())

    def hold_task(self, key: str, lease_number: int, stop: Stop) -> None:
        """Keep a task's lease; `stop` is called when its stage asks it to stop."""
        with self.lock:
            self.tasks[key] = HeldTask(lease_number, stop)

    def begin_task(self, key: str) -> None:
        """The task has a place, and its handler begins: from here on its deadline stands."""
        with self.lock:
            self.tasks[key].begun = True

    def drop_task(self, key: str) -> None:
        """The task's outcome is committed, or no longer ours to commit."""
        with self.lock:
            self.tasks.pop(key, None)
        self._tell("task", key)

    def hold(self, kind: str, key: str, lease_number: int) -> None:
        """Keep the lease of a job message or a callback."""
        with self.lock:
            self._of(kind)[key] = lease_number

    def drop(self, kind: str, key: str) -> None:
        """The message has been handled, or the callback's outcome committed."""
        with self.lock:
            self._of(kind).pop(key, None)
        self._tell(kind, key)

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not (self.tasks or self.jobs or self.callbacks)

    def snapshot(self) -> tuple[dict[str, HeldTask], dict[str, int], dict[str, int]]:
        """Copies for another thread."""
        with self.lock:
            return dict(self.tasks), dict(self.jobs), dict(self.callbacks)

    def _tell(self, kind: str, key: str) -> None:
        watching = self.watched.pop((kind, key), None)
        if watching is not None and not watching.done():
            watching.set_result(None)

    def _of(self, kind: str) -> dict[str, int]:
        return self.jobs if kind == "job" else self.callbacks
