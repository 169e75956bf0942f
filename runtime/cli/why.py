"""`coremachine why`: why a job is where it is."""

import asyncio
from dataclasses import asdict, replace
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer

from ...diagrams.timeline import TimelineEvent
from ...statemachine.lifecycles import JOB
from ..app.async_app import local_zone
from ..app.diagnose import Holder, Why
from .declared import load
from .options import AppName, AsJson, DataDir, JobId, SchemaName, Url, Where, application
from .terminal import in_colour, red, show_json

STALLED, ENDED_BADLY = 3, 4


def why(  # noqa: PLR0913 - one parameter for each option
    *,
    job: JobId,
    as_json: AsJson = False,
    utc: Annotated[bool, typer.Option("--utc", help="Times in UTC, not in the local time zone.")] = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Tell why a job is where it is: what it waits for, who holds it, until when, and what can be done.

    Exits with 0 where it runs, waits or has completed, 3 where it is stalled, 4 where it failed or was cancelled.
    """
    where = Where(url, schema, data_dir)
    asked = application(load(app), where)

    async def run() -> Why:
        async with asked:
            return await asked.why(job)

    told = asyncio.run(run())
    told = replace(told, next_steps=tuple(where.command(step, app) for step in told.next_steps))
    if as_json:
        show_json(asdict(told))
    else:
        typer.echo("\n".join(_lines(told, UTC if utc else local_zone())))
    if told.verdict == "stalled":
        raise typer.Exit(STALLED)
    if JOB.by_name[told.status].failure:
        raise typer.Exit(ENDED_BADLY)


def _lines(told: Why, tz: tzinfo) -> list[str]:
    bad = told.verdict == "stalled" or JOB.by_name[told.status].failure
    verdict = told.verdict if told.verdict == told.status else f"{told.verdict} (the job is {told.status})"
    error = f": {told.error_type}: {told.error.splitlines()[0]}" if told.error else ""
    listed = {
        "verdict": red(verdict) if bad and in_colour(typer.get_text_stream("stdout")) else verdict,
        "last successful": _event(told.last_successful, tz) or "nothing yet",
        "first failure": (_event(told.first_failure, tz) or "none") + error,
        "waits for": "; ".join(told.waits_for) or "nothing",
        "held by": "; ".join(_holder(one, tz) for one in told.held_by) or "nobody",
        "until": _clock(told.until, tz) if told.until else "no time is set",
        **({"ended": _end(told.ended, tz)} if told.ended else {}),
        **({"deadline": _clock(told.deadline, tz)} if told.deadline else {}),
        "next": "; ".join(told.next_steps) or "nothing is to be done",
    }
    return [f"Job: {told.short_id} - {told.job_type}", *(f"{name:<15}  {words}" for name, words in listed.items())]


def _event(event: TimelineEvent | None, tz: tzinfo) -> str:
    if event is None:
        return ""
    at = f"at {_clock(event.at, tz)}"
    if event.task_number is not None:
        return f"{event.type} (task-{event.task_number:03d}) {at}"
    return f"{event.type} {at}" if event.stage is None else f"{event.type} (stage {event.stage}) {at}"


def _end(event: TimelineEvent, tz: tzinfo) -> str:
    reason = event.data.get("reason")
    return f"{_event(event, tz)} ({reason})" if reason else _event(event, tz)


def _holder(one: Holder, tz: tzinfo) -> str:
    numbers = ", ".join(map(str, one.lease_numbers))
    until = f" until {_clock(one.until, tz)}" if one.until else ""
    return f"{one.worker} ({one.holds}, lease {numbers}{until})"


def _clock(at: datetime, tz: tzinfo) -> str:
    return f"{at.astimezone(tz):%H:%M:%S}"
