"""`coremachine why`: why a job is in its current state."""

import asyncio
from dataclasses import asdict, replace
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer

from ....diagrams.timeline import TimelineEvent
from ....diagrams.timeline_text import named
from ....statemachine.lifecycles import JOB
from ...app.async_app import local_zone
from ...app.diagnose import Diagnosis, Holder
from ..app_loader import load
from ..options import AppName, AsJson, DatabaseOptions, DataDir, JobId, SchemaName, Url, application
from ..terminal import in_colour, red, show_json

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
    """Explain why a job is in its current state: what it waits for, which worker holds it, until when, and what to do.

    Exit code 0: it is running, waiting or completed. 3: it is stalled. 4: it has failed or was cancelled.
    """
    database = DatabaseOptions(url, schema, data_dir)
    core = application(load(app), database)

    async def run() -> Diagnosis:
        async with core:
            return await core.why(job)

    diagnosis = asyncio.run(run())
    diagnosis = replace(diagnosis, next_steps=tuple(database.command(step, app) for step in diagnosis.next_steps))
    if as_json:
        show_json(asdict(diagnosis))
    else:
        typer.echo("\n".join(_lines(diagnosis, UTC if utc else local_zone())))
    if diagnosis.verdict == "stalled":
        raise typer.Exit(STALLED)
    if JOB.by_name[diagnosis.status].failure:
        raise typer.Exit(ENDED_BADLY)


def _lines(diagnosis: Diagnosis, tz: tzinfo) -> list[str]:
    bad = diagnosis.verdict == "stalled" or JOB.by_name[diagnosis.status].failure
    same = diagnosis.verdict == diagnosis.status
    verdict = diagnosis.verdict if same else f"{diagnosis.verdict} (the job is {diagnosis.status})"
    error = f": {diagnosis.error_type}: {diagnosis.error.splitlines()[0]}" if diagnosis.error else ""
    listed = {
        "verdict": red(verdict) if bad and in_colour(typer.get_text_stream("stdout")) else verdict,
        "last successful": _event(diagnosis.last_successful, tz) or "nothing yet",
        "first failure": (_event(diagnosis.first_failure, tz) or "none") + error,
        "waits for": "; ".join(diagnosis.waits_for) or "nothing",
        "held by": "; ".join(_holder(one, tz) for one in diagnosis.held_by) or "no worker",
        "until": _clock(diagnosis.until, tz) if diagnosis.until else "no time is set",
        **({"ended": _end(diagnosis.ended, tz)} if diagnosis.ended else {}),
        **({"deadline": _clock(diagnosis.deadline, tz)} if diagnosis.deadline else {}),
        "next": "; ".join(diagnosis.next_steps) or "nothing to do",
    }
    return [
        f"Job: {diagnosis.short_id} - {diagnosis.job_type}",
        *(f"{name:<15}  {text}" for name, text in listed.items()),
    ]


def _event(event: TimelineEvent | None, tz: tzinfo) -> str:
    return "" if event is None else f"{named(event)} at {_clock(event.at, tz)}"


def _end(event: TimelineEvent, tz: tzinfo) -> str:
    reason = event.data.get("reason")
    return f"{_event(event, tz)} ({reason})" if reason else _event(event, tz)


def _holder(one: Holder, tz: tzinfo) -> str:
    numbers = ", ".join(map(str, one.lease_numbers))
    until = f" until {_clock(one.until, tz)}" if one.until else ""
    return f"{one.worker} ({one.holds}, lease {numbers}{until})"


def _clock(at: datetime, tz: tzinfo) -> str:
    return f"{at.astimezone(tz):%H:%M:%S}"
