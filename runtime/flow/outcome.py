"""What became of a claimed task, and the trigger that follows from it: decided here, purely, and written elsewhere."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..store.rows import ClaimedTask, StageRow


class Outcome(NamedTuple):
    """The end of one attempt.

    `completed` brings a result as JSON text; `failed` an error, which is tried again if `retryable`; `released` means
    that the worker could not run it to its end, and `reason` says why; `cancelled` that the handler ended because it
    was asked to; `expired` that nobody renewed the lease: its worker is gone; `overdue` that its worker did not end it
    though its time is over, or though it was asked to stop.
    """

    task: ClaimedTask
    kind: Literal["completed", "failed", "released", "cancelled", "expired", "overdue"]
    result: str | None = None
    error: Mapping[str, object] | None = None
    retryable: bool = True
    reason: str = ""
    duration_ms: int = 0

    @property
    def found(self) -> bool:
        """Whether a reconciler found it. Where it loses, somebody else was first, and nothing was late."""
        return self.kind in {"expired", "overdue"}


class Decision(NamedTuple):
    """A trigger to fire, the values of its move and the data of its event."""

    trigger: str
    values: dict[str, object]
    data: dict[str, object]


def completion(outcome: Outcome, worker: str) -> Decision:
    """What follows from a handler that completed, however its stage stands."""
    values: dict[str, object] = {"lease_number": outcome.task.lease_number, "result": outcome.result}
    return Decision("complete", values, {"worker": worker, "duration_ms": outcome.duration_ms})


def decide(outcome: Outcome, stage: StageRow, worker: str) -> Decision:
    """Which trigger an outcome fires, given how its stage stands."""
    fence: dict[str, object] = {"lease_number": outcome.task.lease_number}
    told: dict[str, object] = {"worker": worker, "duration_ms": outcome.duration_ms}
    match outcome.kind:
        case "completed":
            decision = completion(outcome, worker)
        case "cancelled":
            decision = Decision("cancel", fence, told | {"reason": stage.stop_reason or "asked to stop"})
        case "released" if stage.stop_reason:
            decision = Decision("cancel", fence, told | {"reason": stage.stop_reason})
        case "released":
            decision = Decision("release", fence | {"delay": 0.0}, told | {"reason": outcome.reason})
        case "expired":
            decision = _decide_expired(outcome.task, stage, fence, told)
        case "overdue":
            decision = _decide_overdue(outcome, stage, fence, told)
        case "failed":
            decision = _decide_failed(outcome, stage, fence, told)
    return decision


def _decide_failed(outcome: Outcome, stage: StageRow, fence: dict[str, object], told: dict[str, object]) -> Decision:
    """Try again as long as there are attempts left, and nobody has asked the stage to stop."""
    task = outcome.task
    told = told | {"error": outcome.error, "attempt": task.attempt, "of": task.max_attempts}
    if outcome.retryable and task.attempt < task.max_attempts and not stage.stop_reason:
        delay = stage.definition.backoff.delay(task.attempt)
        return Decision("retry", fence | {"delay": delay}, told | {"delay_s": round(delay, 3)})
    return Decision("fail", fence | {"error": outcome.error}, told)


def _decide_expired(task: ClaimedTask, stage: StageRow, fence: dict[str, object], told: dict[str, object]) -> Decision:
    """The worker is gone: stop, try again, or give up on a task that has outlived too many workers (F44)."""
    told = {"found_by": told["worker"], "lost_worker": task.lease_owner, "rescues": task.rescues}
    if stage.stop_reason:
        return Decision("cancel", fence, told | {"reason": stage.stop_reason})
    if task.rescues < task.max_rescues:
        return Decision("rescue", fence | {"delay": 0.0}, told)
    error = {
        "type": "LeaseExpired",
        "message": f"its worker was lost {task.rescues + 1} times, {task.max_rescues} rescues are allowed",
    }
    return Decision("fail", fence | {"error": error}, told | {"error": error, "attempt": task.attempt})


def _decide_overdue(outcome: Outcome, stage: StageRow, fence: dict[str, object], told: dict[str, object]) -> Decision:
    """Its worker holds it past its time: that ends the attempt as its worker would have; what has none is cancelled."""
    task = outcome.task
    told = {"found_by": told["worker"], "held_by": task.lease_owner}
    if task.deadline_at is None:
        why = "it was asked to stop, and did not"
        return Decision("cancel", fence, told | {"reason": stage.stop_reason, "why": why})
    error = {
        "type": "HandlerTimeoutError",
        "message": f"the handler did not end within its timeout of {stage.definition.timeout:g} s, nor did its"
        f" worker {task.lease_owner} end it; give the task a longer timeout, or run it in a process (process=True)",
    }
    return _decide_failed(outcome._replace(error=error), stage, fence, told)
