"""Renders templates to HTML. All values are escaped, except SVG that this package generates."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ..api.dependencies import mount_path, path_in_site, site_url
from ..timeline.event_display import event_error, event_text, symbol, tone, without_traceback
from ..timeline.formatting import duration, elapsed, format_number, iso, pluralize, pretty_json, time_of_day

SHORT_ID_LENGTH = 12


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _time_of_day(at: datetime) -> str:
    return time_of_day(_utc(at))


def _form_timestamp(at: datetime) -> str:
    """The value of a datetime-local field, in UTC."""
    return f"{_utc(at):%Y-%m-%dT%H:%M}"


def _iso(at: datetime) -> str:
    return iso(_utc(at))


def _short_id(job_id: str) -> str:
    return job_id[:SHORT_ID_LENGTH]


FILTERS: dict[str, Callable[..., object]] = {
    "duration": duration,
    "elapsed": elapsed,
    "event_error": event_error,
    "event_text": event_text,
    "form_timestamp": _form_timestamp,
    "iso": _iso,
    "number": format_number,
    "pluralize": pluralize,
    "pretty_json": pretty_json,
    "short_id": _short_id,
    "symbol": symbol,
    "time_of_day": _time_of_day,
    "tone": tone,
    "without_traceback": without_traceback,
}


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


ENVIRONMENT = _environment()


def render_page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """Render a template to a response. Templates also get the visitor and the path under which the site is mounted."""
    context = {
        "root": mount_path(request),
        "site": site_url(request),
        "visitor": getattr(request.state, "visitor", None),
        "login_required": not request.app.state.access.allows_anonymous,
        "path": path_in_site(request),
    }
    return HTMLResponse(ENVIRONMENT.get_template(template).render(**context, **values), status_code=status)
