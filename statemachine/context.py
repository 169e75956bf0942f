"""What a handler knows about its task, and what it can report while it runs."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from .errors import OperationError
from .renamed import renamed_arguments

Emit = Callable[[str, Mapping[str, object]], None]
StopListener = Callable[[str], None]


class TaskCancelledError(OperationError):
    """Raised inside a handler by `TaskContext.raise_if_cancelled`. Carries `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"this task was asked to stop: {reason}")


def _ignore(_kind: str, _data: Mapping[str, object]) -> None:
    """In a unit test nothing receives what a handler reports."""


@renamed_arguments(tell="emit")
@dataclass(kw_only=True)
class TaskContext:
    """Passed to a handler that has a parameter annotated `TaskContext`. In a unit test, create one yourself.

    Every method may be called from the handler's thread, its event loop or its process. `lease_number` rises with every
    claim of the task: a handler can use it to fence what it writes elsewhere.
    """

    job_id: str = ""
    task_id: str = ""
    stage: str = ""
    index: int = 0
    attempt: int = 1
    lease_number: int = 1
    emit: Emit = field(default=_ignore, repr=False)
    _stop: Event = field(default_factory=Event, repr=False)
    _reason: str = ""
    _listeners: list[StopListener] = field(default_factory=list[StopListener], init=False, repr=False, compare=False)

    def checkpoint(self, name: str, **data: object) -> None:
        """Write an event that records the handler's progress. `data` must be JSON."""
        self.emit("checkpoint", {"name": name, **data})

    def progress(self, done: float, total: float) -> None:
        """Report how much of the work is done. Written at most once a second; the last report is always written."""
        self.emit("progress", {"done": done, "total": total})

    @property
    def cancelled(self) -> bool:
        """Whether the handler was asked to stop."""
        return self._stop.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise TaskCancelledError if the handler was asked to stop."""
        if self._stop.is_set():
            raise TaskCancelledError(self._reason)

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the handler is asked to stop; True if it was."""
        return self._stop.wait(seconds)

    def ask_to_stop(self, reason: str) -> None:
        """Called by the worker: the handler should end soon."""
        self._reason = reason
        self._stop.set()
        for listener in tuple(self._listeners):
            listener(reason)

    @contextmanager
    def stop_listener(self, listener: StopListener) -> Generator[None, None, None]:
        """Used by the worker: within the block, `listener(reason)` is called in the thread that requests the stop.

        It is called at once if the stop was requested before; it may be called twice.
        """
        self._listeners.append(listener)
        try:
            if self._stop.is_set():
                listener(self._reason)
            yield
        finally:
            self._listeners.remove(listener)
