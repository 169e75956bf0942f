"""The history of a task as bars: one for each period in which it was queued, running, or waiting for a retry.

The meaning of each event comes from the declared lifecycle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ....statemachine.lifecycles import TASK
from .rows import ChartEventRow, ChartTaskRow

BarKind = Literal["queued", "running", "waiting"]
TRANSITION_BY_EVENT = {transition.event.type: transition for transition in TASK.transitions}
RUNNING_STATE = next(state.name for state in TASK.states if state.leased)
START_EVENT = next(transition.event.type for transition in TASK.transitions if transition.target == RUNNING_STATE)
END_EVENTS = {
    transition.target: transition.event for transition in TASK.transitions if TASK.by_name[transition.target].terminal
}
RETRY_TRIGGER = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A period in which a task was in one condition. `end` is None if it still is.

    For a running bar, `status` is the status of the event that ended the attempt.
    """

    kind: BarKind
    begin: datetime
    end: datetime | None
    attempt: int
    worker: str | None = None
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A point in time: the end of an attempt, or an event of the job. `status` is the status of the event."""

    at: datetime
    status: str
    text: str
    event_id: int | None = None


@dataclass(slots=True, kw_only=True)
class TaskHistory:
    """The bars and markers of one task."""

    bars: list[Bar] = field(default_factory=list[Bar])
    markers: list[Marker] = field(default_factory=list[Marker])


def task_history(task: ChartTaskRow, events: Sequence[ChartEventRow]) -> TaskHistory:
    """Build the history of a task from its events, oldest first; without events, from the times in its row."""
    history = TaskHistory()
    kind: BarKind | None = "queued"
    begin, attempt = task.created_at, 1
    for event in events or _events_from_row(task):
        transition = TRANSITION_BY_EVENT.get(event.event_type)
        if transition is None:
            continue
        if kind is not None:
            history.bars.append(_finished_bar(kind, begin, attempt, event))
        if transition.target != RUNNING_STATE and event.event_status != "info":
            history.markers.append(
                Marker(
                    at=event.created_at,
                    status=event.event_status,
                    text=event.event_type,
                    event_id=event.event_id,
                )
            )
        kind, begin = bar_kind_after(transition.trigger, transition.target), event.created_at
        attempt = event.attempt + 1 if transition.trigger == RETRY_TRIGGER else event.attempt
    if kind is not None:
        held = task.lease_owner if kind == "running" else None
        history.bars.append(Bar(kind=kind, begin=begin, end=None, attempt=task.attempt, worker=held))
    return history


def needs_events(task: ChartTaskRow) -> bool:
    """Whether a task has more history than one start and one end, which the times in its row describe."""
    requeued = task.started_at is not None and task.due_at is not None
    return bool(requeued or task.lease_number > 1 or task.attempt > 1 or task.rescues)


def bar_kind_after(trigger: str, target: str) -> BarKind | None:
    """The kind of bar that begins after a transition; None if the task has ended."""
    if target == RUNNING_STATE:
        return "running"
    if TASK.by_name[target].terminal:
        return None
    return "waiting" if trigger == RETRY_TRIGGER else "queued"


def _finished_bar(kind: BarKind, begin: datetime, attempt: int, event: ChartEventRow) -> Bar:
    """The bar that ends with an event."""
    at, run = event.created_at, kind == "running"
    worker, status = (event.worker, event.event_status) if run else (None, "")
    return Bar(kind=kind, begin=begin, end=at, attempt=attempt, worker=worker, status=status)


def _events_from_row(task: ChartTaskRow) -> Iterable[ChartEventRow]:
    """The events implied by the times in a task's row."""
    if task.started_at is not None:
        yield _implied_event(task, START_EVENT, "success", task.started_at)
    if task.finished_at is not None:
        end = END_EVENTS[task.status]
        yield _implied_event(task, end.type, end.status, task.finished_at)


def _implied_event(task: ChartTaskRow, event_type: str, status: str, at: datetime) -> ChartEventRow:
    return ChartEventRow(
        task_id=task.task_id,
        event_id=None,
        event_type=event_type,
        event_status=status,
        created_at=at,
        attempt=task.attempt,
        worker=task.lease_owner,
    )
