"""The outcome of a claimed task, and the trigger that it fires: decided here, purely, and written elsewhere."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ...statemachine.lifecycle import Trigger
from ...statemachine.lifecycles import TASK
from ..store.rows import ClaimedTask, StageRow

COMPLETE, RETRY, FAIL = TASK.trigger("complete"), TASK.trigger("retry"), TASK.trigger("fail")
CANCEL, RELEASE, RESCUE = TASK.trigger("cancel"), TASK.trigger("release"), TASK.trigger("rescue")

OutcomeKind = Literal["completed", "failed", "released", "cancelled", "expired", "overdue"]


class Outcome(NamedTuple):
    """The end of one attempt.

    `completed` has a result as JSON text; `failed` an error, which is tried again if `retryable`; `released` means
    that the worker could not finish it, for `reason`; `cancelled` that the handler ended because it was asked to stop;
    `expired` that its lease was not renewed: its worker is lost; `overdue` that its worker did not end it in time, or
    after it was asked to stop.
    """

    task: ClaimedTask
    kind: OutcomeKind
    result: str | None = None
    error: Mapping[str, object] | None = None
    retryable: bool = True
    reason: str = ""
    duration_ms: int = 0

    @property
    def found(self) -> bool:
        """Whether a reconciler found it. If it loses, another client was first, and no result was late."""
        return self.kind in {"expired", "overdue"}


class Decision(NamedTuple):
    """A trigger to fire, the values of its move and the data of its event."""

    trigger: Trigger
    values: dict[str, object]
    data: dict[str, object]


def completion(outcome: Outcome, worker: str) -> Decision:
    """The decision for a handler that completed, in any state of its stage."""
    values: dict[str, object] = {"lease_number": outcome.task.lease_number, "result": outcome.result}
    return Decision(COMPLETE, values, {"worker": worker, "duration_ms": outcome.duration_ms})


def decide(outcome: Outcome, stage: StageRow, worker: str) -> Decision:
    """The trigger that an outcome fires, given the state of its stage."""
    fence: dict[str, object] = {"lease_number": outcome.task.lease_number}
    data: dict[str, object] = {"worker": worker, "duration_ms": outcome.duration_ms}
    match outcome.kind:
        case "completed":
            decision = completion(outcome, worker)
        case "cancelled":
            decision = Decision(CANCEL, fence, data | {"reason": stage.stop_reason or "asked to stop"})
        case "released" if stage.stop_reason:
            decision = Decision(CANCEL, fence, data | {"reason": stage.stop_reason})
        case "released":
            decision = Decision(RELEASE, fence | {"delay": 0.0}, data | {"reason": outcome.reason})
        case "expired":
            decision = _decide_expired(outcome.task, stage, fence, data)
        case "overdue":
            decision = _decide_overdue(outcome, stage, fence, data)
        case "failed":
            decision = _decide_failed(outcome, stage, fence, data)
    return decision


def _decide_failed(outcome: Outcome, stage: StageRow, fence: dict[str, object], data: dict[str, object]) -> Decision:
    """Try again if attempts are left and the stage was not asked to stop."""
    task = outcome.task
    data = data | {"error": outcome.error, "attempt": task.attempt, "of": task.max_attempts}
    if outcome.retryable and task.attempt < task.max_attempts and not stage.stop_reason:
        delay = stage.definition.backoff.delay(task.attempt)
        return Decision(RETRY, fence | {"delay": delay}, data | {"delay_s": round(delay, 3)})
    return Decision(FAIL, fence | {"error": outcome.error}, data)


def _decide_expired(task: ClaimedTask, stage: StageRow, fence: dict[str, object], data: dict[str, object]) -> Decision:
    """The worker is lost: stop, try again, or fail a task that has lost too many workers (F44)."""
    data = {"found_by": data["worker"], "lost_worker": task.lease_owner, "rescues": task.rescues}
    if stage.stop_reason:
        return Decision(CANCEL, fence, data | {"reason": stage.stop_reason})
    if task.rescues < task.max_rescues:
        return Decision(RESCUE, fence | {"delay": 0.0}, data)
    error = {
        "type": "LeaseExpired",
        "message": f"its worker was lost {task.rescues + 1} times; {task.max_rescues} rescues are allowed",
    }
    return Decision(FAIL, fence | {"error": error}, data | {"error": error, "attempt": task.attempt})


def _decide_overdue(outcome: Outcome, stage: StageRow, fence: dict[str, object], data: dict[str, object]) -> Decision:
    """Its worker holds it too long: fail the attempt as its worker would have; without a timeout, cancel it."""
    task = outcome.task
    data = {"found_by": data["worker"], "held_by": task.lease_owner}
    if task.deadline_at is None:
        why = "it was asked to stop, and did not"
        return Decision(CANCEL, fence, data | {"reason": stage.stop_reason, "why": why})
    error = {
        "type": "HandlerTimeoutError",
        "message": f"the handler did not end within its timeout of {stage.definition.timeout:g} s, and its"
        f" worker {task.lease_owner} did not end it; set a longer timeout, or run it in a process (process=True)",
    }
    return _decide_failed(outcome._replace(error=error), stage, fence, data)
