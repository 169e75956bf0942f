"""`coremachine cancel`: stop a job that has not ended."""

import asyncio
from typing import Annotated

import typer

from ....statemachine.lifecycles import JOB
from ..app_loader import load
from ..options import AppName, AsJson, DatabaseOptions, DataDir, JobId, SchemaName, Url, application
from ..terminal import SHORT_ID, show_json


def cancel(  # noqa: PLR0913 - one parameter for each option
    *,
    job: JobId,
    reason: Annotated[str, typer.Option("--reason", help="Reason, recorded in the cancellation events.")] = "by a user",
    as_json: AsJson = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Cancel a job: tasks that have not started never run, and running tasks are asked to stop."""
    core = application(load(app), DatabaseOptions(url, schema, data_dir))

    async def run() -> tuple[str, str]:
        async with core:
            full = await core.full_id(job)
            return full, await core.cancel(full, reason)

    full, status = asyncio.run(run())
    if as_json:
        show_json({"job_id": full, "status": status})
    elif JOB.by_name[status].terminal:
        typer.echo(f"{full[:SHORT_ID]} is {status}")
    else:
        typer.echo(f"{full[:SHORT_ID]} is {status}: its running tasks were asked to stop, and the job ends after them")
