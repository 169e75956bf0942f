"""A call: one claimed task with its input, and its outcome, which is reported once."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ...statemachine.context import TaskCancelledError, TaskContext
from ...statemachine.results import ResultError, json_text
from ..flow.outcome import Outcome
from ..store.rows import ClaimedTask
from ..store.text import error_data
from .errors import ArgumentError, HandlerError, HandlerTimeoutError
from .job_cache import Plan
from .progress_throttle import ProgressThrottle

ReportOf = Callable[[ClaimedTask, str, Mapping[str, object]], None]


class Call:
    """One call of a handler.

    `plan` and `value`, the handler's input, are set before it runs. It may be asked to stop from any thread. Only the
    first caller of `end` may report the outcome: the handler's thread, the time-out, or the worker that stops.
    """

    __slots__ = (
        "_begin",
        "_context",
        "_open",
        "_reason",
        "_report",
        "_throttle",
        "began",
        "plan",
        "task",
        "took",
        "value",
    )
    plan: Plan
    value: object

    def __init__(self, task: ClaimedTask, report: ReportOf, begin: Callable[[str, int], None]) -> None:
        self.task = task
        self._begin = begin
        self.began = 0.0
        self.took = 0.0
        self._report = report
        self._open = [True]
        self._reason: str | None = None
        self._context: TaskContext | None = None
        self._throttle: ProgressThrottle | None = None

    def begin(self) -> None:
        """Record that its handler has a slot: its time-out begins. May be called from any thread."""
        self.began = time.monotonic()
        if self.task.deadline_at is not None:
            self._begin(self.task.key, self.task.lease_number)

    def end(self) -> bool:
        """Whether the caller may report the outcome. True once. May be called from any thread."""
        try:
            return self._open.pop()
        except IndexError:
            return False

    def ask_to_stop(self, reason: str) -> None:
        """Ask the handler to end soon. May be called from any thread."""
        self._reason = reason
        if self._context is not None:
            self._context.ask_to_stop(reason)

    def context(self) -> TaskContext:
        """The context that is passed to the handler."""
        task = self.task
        self._throttle = ProgressThrottle(lambda kind, data: self._report(task, kind, data))
        made = TaskContext(
            job_id=task.job_id,
            task_id=task.key,
            stage=self.plan.stage.name,
            index=task.task_index,
            attempt=task.attempt,
            lease_number=task.lease_number,
            emit=self._throttle,
        )
        self._context = made
        if self._reason is not None:
            made.ask_to_stop(self._reason)
        return made

    def run(self) -> Outcome:
        """Call a sync handler in this thread. Never raises."""
        try:
            self.raise_if_stopped()
            given = self.arguments()
            outcome = self.completed(json_text(self.plan.handler.function(**given)))
        except BaseException as error:  # noqa: BLE001 - any error of a handler is its task's outcome
            outcome = self.failed(error)
        self.flush_progress()
        return outcome

    def arguments(self) -> dict[str, object]:
        """The arguments of the handler. Raises ArgumentError."""
        given = self.plan.given(self.value)
        wanted = self.plan.handler.signature.context
        if wanted is not None:
            given[wanted] = self.context()
        return given

    def raise_if_stopped(self) -> None:
        """Raise TaskCancelledError if the task was asked to stop before its handler began."""
        if self._reason is not None:
            raise TaskCancelledError(self._reason)

    def flush_progress(self) -> None:
        """Report the last progress of a handler that has ended."""
        if self._throttle is not None:
            self._throttle.end()

    def completed(self, result: str) -> Outcome:
        """The outcome of a handler that returned; `result` is JSON text."""
        return self._ended("completed", result=result)

    def failed(self, error: BaseException) -> Outcome:
        """The outcome of a handler that raised, or could not be called."""
        if isinstance(error, TaskCancelledError):
            return self._ended("cancelled")
        if isinstance(error, ResultError | ArgumentError):
            return self._ended("failed", error=error_data(error), retryable=False)
        if isinstance(error, HandlerError):
            return self._ended("failed", error=error.data, retryable=error.retryable)
        return self._ended("failed", error=error_data(error))

    def timed_out(self, seconds: float) -> Outcome:
        """The outcome of a handler that has not ended in time, which is also asked to stop."""
        self.ask_to_stop("its timeout has passed")
        return self._ended("failed", error=error_data(HandlerTimeoutError(seconds)))

    def released(self, reason: str) -> Outcome:
        """The outcome of a handler that this worker cannot finish."""
        return self._ended("released", reason=reason)

    def _ended(self, kind: Any, **more: Any) -> Outcome:
        self.took = time.monotonic() - self.began if self.began else 0.0
        return Outcome(task=self.task, kind=kind, duration_ms=round(self.took * 1000), **more)
