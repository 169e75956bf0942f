"""How events and states are displayed: their text, symbol and tone."""

from collections.abc import Mapping
from typing import cast

from ....diagrams.timeline import TimelineEvent
from ....diagrams.timeline_text import MARKS, OTHER_MARK, named
from ....statemachine.lifecycles import JOB, STAGE, TASK
from ..api.response_models import EventResponse

TONES = {"failure": "bad", "warning": "warn"}


def timeline_event(event: EventResponse) -> TimelineEvent:
    """Convert an event for the text functions of the timeline."""
    return TimelineEvent(
        event_id=event.event_id,
        type=event.type,
        status=event.status,
        at=event.at,
        stage=event.stage,
        task_number=event.task_number,
        data=event.data,
    )


def event_text(event: EventResponse) -> str:
    """The text of an event, as in the terminal timeline."""
    return named(timeline_event(event))


def event_error(data: Mapping[str, object]) -> dict[str, str] | None:
    """The error in an event's data, if any. A checkpoint may have data of any kind under this name."""
    error = data.get("error")
    if not isinstance(error, Mapping):
        return None
    fields = cast("Mapping[str, object]", error)
    return {name: str(fields.get(name) or "") for name in ("type", "message", "traceback")}


def without_traceback(data: Mapping[str, object]) -> dict[str, object]:
    """An event's data without the error's traceback, which is shown separately."""
    error = data.get("error")
    if not isinstance(error, Mapping):
        return dict(data)
    fields = cast("Mapping[str, object]", error)
    return {**data, "error": {name: value for name, value in fields.items() if name != "traceback"}}


def symbol(status: str) -> str:
    """The symbol of an event status."""
    return MARKS.get(status, OTHER_MARK)


def tone(status: str) -> str:
    """The tone of a state or an event status: bad, warn, good, busy or calm. It is never shown without text."""
    if status in TONES:
        return TONES[status]
    state = JOB.by_name.get(status) or STAGE.by_name.get(status) or TASK.by_name.get(status)
    if state is None:
        return "calm"
    if state.failure:
        return "bad" if status == "failed" else "warn"
    return "good" if state.terminal else "calm" if state.initial else "busy"
