"""The attempts of a task, with worker, times and outcome."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..api.response_models import EventResponse
from .bars import RUNNING_STATE, TRANSITION_BY_EVENT
from .event_display import event_error


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One run of a handler. `ended` is None while it runs; `error` is what the visitor may see of the error."""

    number: int
    worker: str
    started: datetime
    ended: datetime | None = None
    status: str = "success"
    outcome: str = "running"
    reason: str = ""
    error: dict[str, str] | None = None


def attempts_of(events: Iterable[EventResponse]) -> list[Attempt]:
    """Derive a task's attempts from its events, oldest first."""
    attempts: list[Attempt] = []
    for event in events:
        transition = TRANSITION_BY_EVENT.get(event.type)
        if transition is None:
            continue
        if transition.target == RUNNING_STATE:
            worker = str(event.data.get("worker", "–"))
            attempts.append(Attempt(number=event.attempt or 1, worker=worker, started=event.at))
        elif attempts and attempts[-1].ended is None:
            last = attempts[-1]
            last.ended, last.status, last.outcome = event.at, event.status, event.type.removeprefix("task_")
            last.reason = str(event.data.get("reason", ""))
            last.error = event_error(event.data)
    return attempts
