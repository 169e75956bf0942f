"""The founding gap checks: places where a failure could go unnoticed, and the conditions that prevent it.

A gap check with a condition is enforced by the `transitions` machine: the condition receives the values that a move
would write to the row and the data of its event, and returns the reason to refuse, or None. The whole register,
with the gaps that queries find and constraints close, is in `register`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "high", "medium", "info"]
Condition = Callable[[Mapping[str, object], Mapping[str, object]], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One entry of the register.

    `event` is the type of the event that records the gap, `remedy` is what to do about it.
    """

    id: str
    severity: Severity
    gap: str
    response: str
    event: str
    remedy: str = ""

    @property
    def enforced_by(self) -> str:
        """Where the check is enforced: `module:attribute`, `package:file`, or the name of a constraint."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class GapCheck(Gap):
    """A gap that a condition on moves closes."""

    condition: Condition

    @property
    def enforced_by(self) -> str:
        """Where the check is enforced, as `module:attribute`."""
        return f"{self.condition.__module__}:{self.condition.__qualname__}"


def names_its_lease(values: Mapping[str, object], _data: Mapping[str, object]) -> str | None:
    """An outcome counts only under the worker's lease."""
    return None if isinstance(values.get("lease_number"), int) else "the outcome names no lease number"


def counters_add_up(_values: Mapping[str, object], data: Mapping[str, object]) -> str | None:
    """A stage closes only when all of its tasks have been counted: its event carries the counters."""
    total = data.get("tasks_total")
    counted = [data.get(f"tasks_{ending}") for ending in ("completed", "failed", "cancelled")]
    numbers = [number for number in counted if isinstance(number, int)]
    if isinstance(total, int) and len(numbers) == len(counted) and sum(numbers) == total:
        return None
    return f"of {total} tasks, completed, failed and cancelled are {', '.join(map(str, counted))}"


def failure_has_error(_values: Mapping[str, object], data: Mapping[str, object]) -> str | None:
    """A job is marked failed only together with the error that failed it."""
    return None if data.get("error") else "no error is given with the failure"


def attempt_is_known(values: Mapping[str, object], data: Mapping[str, object]) -> str | None:
    """A retry names an attempt that was read from the task's record, and when the next one is due."""
    if not isinstance(data.get("attempt"), int):
        return "the task's record was not found: no attempt is known"
    return None if isinstance(values.get("delay"), int | float) else "the retry names no delay"


def result_is_json(values: Mapping[str, object], _data: Mapping[str, object]) -> str | None:
    """A task completes with a result that has been converted to JSON text."""
    return None if isinstance(values.get("result"), str) else "the result has not been converted to JSON"


def finalizer_has_outcome(_values: Mapping[str, object], data: Mapping[str, object]) -> str | None:
    """A job completes only with its finalizer's outcome."""
    outcome = data.get("finalizer")
    if outcome not in {"none", "succeeded", "failed"}:
        return f"the finalizer's outcome is {outcome!r}, not none, succeeded or failed"
    return "the finalizer failed, and its error is missing" if outcome == "failed" and not data.get("error") else None


def callback_failure_has_error(_values: Mapping[str, object], data: Mapping[str, object]) -> str | None:
    """A failed callback's event has its error and its attempt."""
    return None if data.get("error") and isinstance(data.get("attempt"), int) else "error or attempt is missing"


GAP_1 = GapCheck(
    id="GAP-1",
    severity="critical",
    gap="the handler succeeds, the status update fails",
    response="the result is held and the write retried until it commits or the row's lease number has moved on",
    event="task_rescued",
    remedy="nothing: if the worker dies, the task is rescued when its lease expires; `coremachine why JOB` shows when",
    condition=names_its_lease,
)
GAP_2 = GapCheck(
    id="GAP-2",
    severity="critical",
    gap="tasks complete, advancing the stage fails",
    response="the stage closes in the transaction of its last task; opening the next is a message in the same one",
    event="checkpoint",
    remedy="nothing: the reconciler closes the stage; if `coremachine why JOB` shows `stalled`, start a worker",
    condition=counters_add_up,
)
GAP_3 = GapCheck(
    id="GAP-3",
    severity="critical",
    gap="marking a job failed is refused, and the refusal is ignored",
    response="a refused move raises an exception; there is no boolean to ignore",
    event="job_failed",
    remedy="report it as a bug: the refusal names job and trigger; then `coremachine cancel JOB`",
    condition=failure_has_error,
)
GAP_4 = GapCheck(
    id="GAP-4",
    severity="high",
    gap="the retry finds no task record, or a message names a job that does not exist",
    response="a typed error; the message is dead-lettered with the reason, and the job, if known, gets the event",
    event="message_dead_lettered",
    remedy="`coremachine timeline JOB --all` shows the reason; then `coremachine resume JOB`, or submit it again",
    condition=attempt_is_known,
)
GAP_5 = GapCheck(
    id="GAP-5",
    severity="high",
    gap="a handler's result cannot be converted",
    response="task_failed naming the type and the field; not retried",
    event="task_failed",
    remedy="make the handler return JSON values (the event names type and field); then `coremachine resume JOB`",
    condition=result_is_json,
)
GAP_6 = GapCheck(
    id="GAP-6",
    severity="medium",
    gap="the finalizer fails",
    response="the job completes with a warning that names the error, or fails if the finalizer is required",
    event="finalizer_failed",
    remedy="`coremachine timeline JOB --all` shows its error; fix the finalizer and submit with a new --key",
    condition=finalizer_has_outcome,
)
GAP_7 = GapCheck(
    id="GAP-7",
    severity="medium",
    gap="the completion callback fails",
    response="callback_executed with failure, error and attempt; retried with back-off",
    event="callback_executed",
    remedy="`coremachine timeline JOB` shows its error; `coremachine why JOB` shows when it is retried",
    condition=callback_failure_has_error,
)

REGISTER: tuple[GapCheck, ...] = (GAP_1, GAP_2, GAP_3, GAP_4, GAP_5, GAP_6, GAP_7)
