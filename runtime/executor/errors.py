"""The errors of running a handler."""

import signal

from ...statemachine.errors import OperationError
from ..store.text import TRACEBACK_LIMIT, cleaned, error_data


class HandlerTimeoutError(OperationError):
    """A handler did not end in time. Carries `seconds`, the timeout."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"the handler did not end within its timeout of {seconds:g} s; set a longer one, or give the task less work"
        )


class HandlerError(OperationError):
    """A handler raised an error, or could not be called, or returned a value that cannot be JSON.

    Carries `type` and `message` of the error, `traceback` as text (it may come from another process), and
    `retryable`: False if another attempt would end the same way.
    """

    def __init__(self, kind: str, message: str, traceback: str, *, retryable: bool) -> None:
        self.type = kind
        self.message = message
        self.traceback = traceback
        self.retryable = retryable
        super().__init__(f"the handler raised {kind}: {message}" if message else f"the handler raised {kind}")

    @classmethod
    def of(cls, error: BaseException) -> "HandlerError":
        """An exception of a handler that is meant to end a program, a loop or a generator, as an ordinary error."""
        data = error_data(error)
        return cls(str(data["type"]), str(data["message"]), str(data["traceback"]), retryable=True)

    @property
    def data(self) -> dict[str, object]:
        """The error as data of an event: cleaned and capped, so that it can be written."""
        return {
            "type": self.type,
            "message": cleaned(self.message or self.type),
            "traceback": cleaned(self.traceback, TRACEBACK_LIMIT),
        }


class ArgumentError(OperationError):
    """A handler cannot be called with the arguments of its job and stage. Carries `task_type` and `reason`."""

    def __init__(self, task_type: str, reason: str) -> None:
        self.task_type = task_type
        self.reason = reason
        super().__init__(f"{task_type} cannot be called with the arguments of its job: {reason}")


class ChildDiedError(OperationError):
    """The process of a handler died before the handler ended.

    Carries `returncode` (negative: minus the number of the signal) and `ending`, as in `signal SIGSEGV` or
    `exit code 3`.
    """

    def __init__(self, returncode: int) -> None:
        self.returncode = returncode
        self.ending = _ending(returncode)
        hint = "; the kernel sends it when memory runs out" if self.ending == "signal SIGKILL" else ""
        super().__init__(f"the handler's process died with {self.ending}{hint}; see the worker's stderr")


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"signal {signal.Signals(-returncode).name}"
    except ValueError:
        return f"signal {-returncode}"


class ChildStartError(OperationError):
    """The operating system refused a process for a handler. Carries `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"no process could be started for a handler: {reason}; free memory, processes or open files")


class ChildrenClosedError(OperationError):
    """The worker is stopping: it killed the process of this handler, or did not start one."""

    def __init__(self) -> None:
        super().__init__("the handler did not end before its worker stopped; another worker has to run it again")
