"""Templates to HTML. Everything that is put into one is escaped, unless this package made it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ...diagrams.timeline import TimelineEvent
from ...diagrams.timeline_text import MARKS, OTHER_MARK, named
from ...statemachine.lifecycles import JOB, STAGE, TASK
from .asking import site_url
from .bodies import Event
from .words import between, clock, counted, grouped, iso, pretty, span

SHORT = 12
TONES = {"failure": "bad", "warning": "warn"}


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


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


def event_words(event: Event) -> str:
    """An event in words."""
    return named(timeline_event(event))


def error_of(data: Mapping[str, object]) -> dict[str, str] | None:
    """The error in an event's data, if there is one: a checkpoint may call anything so."""
    error = data.get("error")
    if not isinstance(error, Mapping):
        return None
    known = cast("Mapping[str, object]", error)
    return {name: str(known.get(name) or "") for name in ("type", "message", "traceback")}


def without_traceback(data: Mapping[str, object]) -> dict[str, object]:
    """An event's data without the traceback of its error, which is shown for itself."""
    error = data.get("error")
    if not isinstance(error, Mapping):
        return dict(data)
    known = cast("Mapping[str, object]", error)
    return {**data, "error": {name: value for name, value in known.items() if name != "traceback"}}


def mark(status: str) -> str:
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


def _clock(at: datetime) -> str:
    return clock(_utc(at))


def _minute(at: datetime) -> str:
    """As a field of a form has it, which knows no time zone: in UTC."""
    return f"{_utc(at):%Y-%m-%dT%H:%M}"


def _iso(at: datetime) -> str:
    return iso(_utc(at))


def _short(job_id: str) -> str:
    return job_id[:SHORT]


FILTERS: dict[str, Callable[..., object]] = {
    "between": between,
    "clock": _clock,
    "counted": counted,
    "error_of": error_of,
    "event_words": event_words,
    "grouped": grouped,
    "iso": _iso,
    "mark": mark,
    "minute": _minute,
    "pretty": pretty,
    "short": _short,
    "span": span,
    "tone": tone,
    "without_traceback": without_traceback,
}


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    return made


ENVIRONMENT = _environment()


def page(request: Request, template: str, *, status: int = 200, **given: object) -> HTMLResponse:
    """A page. Each template knows who asks, and under which path the site is mounted."""
    known = {
        "root": str(request.scope.get("root_path", "")),
        "site": site_url(request),
        "visitor": getattr(request.state, "visitor", None),
        "closed": not request.app.state.access.open,
        "here": request.scope["path"].removeprefix(request.scope.get("root_path", "")),
    }
    return HTMLResponse(ENVIRONMENT.get_template(template).render(**known, **given), status_code=status)
