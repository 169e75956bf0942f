"""The attempts of a task, one after another: each with its worker, its times and how it ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..api.response_models import Event
from .bars import RUNNING_STATE, TRANSITION_BY_EVENT
from .event_display import event_error


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One call of a handler. `ended` is None while it runs; `error` is as much as the visitor may see."""

    number: int
    worker: str
    started: datetime
    ended: datetime | None = None
    status: str = "success"
    outcome: str = "running"
    reason: str = ""
    error: dict[str, str] | None = None


def attempts_of(events: Iterable[Event]) -> list[Attempt]:
    """The attempts that the events of a task tell of, oldest first."""
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
