"""`coremachine submit`: submit a job."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from ...app import AsyncCoreMachine
from ...flow.submit import Submission
from ...flow.submit import submit as submit_job
from ..job_view import JobView
from ..options import (
    AppName,
    AsJson,
    BusOption,
    DatabaseOptions,
    DataDir,
    Key,
    SchemaName,
    Url,
    application,
    load_required,
)
from ..parameters import parse_parameters
from ..progress import live_progress, watch_job
from ..terminal import SHORT_ID, show_json


def submit(  # noqa: PLR0913 - one parameter for each option
    *,
    job_type: Annotated[str, typer.Argument(metavar="JOB_TYPE", help="The name of a declared job.")],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE...", help="Parameters; a value is JSON, or text if the job declares text."),
    ] = None,
    key: Key = None,
    params: Annotated[
        str | None, typer.Option("--params", metavar="FILE", help="A JSON object of parameters; - is standard input.")
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option("--deadline", metavar="SECONDS", help="The job fails unless it ends within this time from now."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show progress until the job ends; exit with 1 if it fails.")
    ] = False,
    as_json: AsJson = False,
    app: AppName = None,
    bus: BusOption = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Submit a job. The same type, parameters and key are the same job: it is found, not created again."""
    database = DatabaseOptions(url, schema, data_dir)
    core = application(load_required(app), database, bus=bus)
    job = core.declared(job_type)
    parameters = parse_parameters(job, pairs or [], params)

    async def run() -> tuple[Submission, JobView | None]:
        async with core:
            # not core.submit: there a job's own parameter named "key" would be taken for the option
            submission = await submit_job(core.database, core.bus, job, parameters, key, deadline=deadline)
            if not as_json:
                _show(submission, database, app)
            return submission, await _wait(core, submission.id) if wait else None

    submission, ended = asyncio.run(run())
    if as_json:
        values = {**asdict(submission), "next_step": _next_step(submission, database, app)}
        show_json({**values, **({} if ended is None else _outcome(ended))})
    elif ended is not None:
        _show_outcome(ended)
    if ended is not None and ended.state.failure:
        raise typer.Exit(1)


async def _wait(core: AsyncCoreMachine, job_id: str) -> JobView:
    with live_progress() as show:
        return await watch_job(core, job_id, show)


def _show(submission: Submission, database: DatabaseOptions, app: str | None) -> None:
    typer.echo(f"job     {submission.id}")
    typer.echo(f"type    {submission.job_type}")
    typer.echo(f"created {'now' if submission.created else 'earlier; nothing has changed'}")
    typer.echo(f"status  {submission.status}")
    if submission.result is not None:
        typer.echo(f"result  {json.dumps(submission.result, ensure_ascii=False)}")
    typer.echo(f"next    {_next_step(submission, database, app)}")


def _next_step(submission: Submission, database: DatabaseOptions, app: str | None) -> str:
    if not submission.created:
        return submission.next_step
    run_it = database.command("coremachine worker --app MODULE", app)
    follow_it = database.command(f"coremachine timeline {submission.id[:SHORT_ID]} --follow")
    return f"run it: {run_it}; follow it: {follow_it}"


def _outcome(job: JobView) -> dict[str, object]:
    return {"status": job.status, "result": job.result, "error": job.error}


def _show_outcome(job: JobView) -> None:
    typer.echo(f"ended   {job.status}")
    if job.error_text:
        typer.echo(f"error   {job.error_text}")
    elif job.result is not None:
        typer.echo(f"result  {json.dumps(job.result, ensure_ascii=False)}")
