"""Templates to HTML. Everything that is put into one is escaped, unless this package made it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ..api.dependencies import site_url
from ..timeline.event_display import error_of, event_words, mark, tone, without_traceback
from ..timeline.formatting import between, clock, counted, grouped, iso, pretty, span

SHORT = 12


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


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
