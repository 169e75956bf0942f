"""Events and states as the pages show them: in words, with a sign and a tone."""

from collections.abc import Mapping
from typing import cast

from ....diagrams.timeline import TimelineEvent
from ....diagrams.timeline_text import MARKS, OTHER_MARK, named
from ....statemachine.lifecycles import JOB, STAGE, TASK
from ..api.response_models import Event

TONES = {"failure": "bad", "warning": "warn"}


def timeline_event(event: Event) -> TimelineEvent:
    """An event that a visitor may see, as the timeline words it."""
    return TimelineEvent(
        event_id=event.event_id,
        type=event.type,
        status=event.status,
        at=event.at,
        stage=event.stage,
        task_number=event.task_number,
        data=event.data,
    )


def event_text(event: Event) -> str:
    """An event in words."""
    return named(timeline_event(event))


def event_error(data: Mapping[str, object]) -> dict[str, str] | None:
    """The error in an event's data, if there is one: a checkpoint may call anything so."""
    error = data.get("error")
    if not isinstance(error, Mapping):
        return None
    fields = cast("Mapping[str, object]", error)
    return {name: str(fields.get(name) or "") for name in ("type", "message", "traceback")}


def without_traceback(data: Mapping[str, object]) -> dict[str, object]:
    """An event's data without the traceback of its error, which is shown for itself."""
    error = data.get("error")
    if not isinstance(error, Mapping):
        return dict(data)
    fields = cast("Mapping[str, object]", error)
    return {**data, "error": {name: value for name, value in fields.items() if name != "traceback"}}


def symbol(status: str) -> str:
    """The sign before an event, by its status."""
    return MARKS.get(status, OTHER_MARK)


def tone(status: str) -> str:
    """The tone of a state or an event: bad, warn, good, busy or calm. A word always goes with it."""
    if status in TONES:
        return TONES[status]
    state = JOB.by_name.get(status) or STAGE.by_name.get(status) or TASK.by_name.get(status)
    if state is None:
        return "calm"
    if state.failure:
        return "bad" if status == "failed" else "warn"
    return "good" if state.terminal else "calm" if state.initial else "busy"
