"""`coremachine timeline`: what happened to a job."""

import asyncio
from datetime import UTC
from typing import Annotated

import typer

from ...app import AsyncCoreMachine
from ..app_loader import load
from ..follow import follow
from ..options import AppName, AsJson, DatabaseOptions, DataDir, JobId, SchemaName, Url, application
from ..terminal import show_json, show_timeline


def timeline(  # noqa: PLR0913 - one parameter for each option
    *,
    job: JobId,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every event, not only headlines and warnings.")
    ] = False,
    as_json: AsJson = False,
    following: Annotated[
        bool, typer.Option("--follow", help="Print new events until the job and its callback have ended.")
    ] = False,
    utc: Annotated[bool, typer.Option("--utc", help="Times in UTC, not in the local time zone.")] = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Print a job's execution timeline: what happened, what failed, and the last successful step.

    With --follow, --json prints one JSON object for each event, one a line.
    """
    core = application(load(app), DatabaseOptions(url, schema, data_dir))
    tz = UTC if utc else None

    async def show(open_app: AsyncCoreMachine) -> None:
        if following:
            await follow(open_app, job, everything=everything, tz=tz, as_json=as_json)
        elif as_json:
            show_json(await open_app.timeline_data(job, everything=everything, tz=tz))
        else:
            show_timeline(await open_app.timeline(job, everything=everything, tz=tz))

    async def run() -> None:
        async with core:
            await show(core)

    asyncio.run(run())
