"""`coremachine submit`: hand in a job."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from ...statemachine.lifecycles import JOB
from ..app import AsyncCoreMachine
from ..flow.submit import Submission
from ..flow.submit import submit as submit_job
from ..store.session import Row
from .options import AppName, AsJson, BusOption, DataDir, Key, SchemaName, Url, Where, application, jobs_declared
from .parameters import parameters_given
from .progress import progress_shown, watch
from .terminal import show_json

SHORT = 12


def submit(  # noqa: PLR0913 - one parameter for each option
    *,
    job_type: Annotated[str, typer.Argument(metavar="JOB_TYPE", help="The name of a declared job.")],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE...", help="Parameters; a value is JSON, or text where the job wants text."),
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
        bool, typer.Option("--wait", help="Show progress until the job ends; exit 1 if it failed.")
    ] = False,
    as_json: AsJson = False,
    app: AppName = None,
    bus: BusOption = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Submit a job. The same type, parameters and key are the same job, which is then found, not made again."""
    where = Where(url, schema, data_dir)
    asked = application(jobs_declared(app), where, bus=bus)
    job = asked.declared(job_type)
    parameters = parameters_given(job, pairs or [], params)

    async def run() -> tuple[Submission, Row | None]:
        async with asked:
            # not asked.submit: there a parameter called "key" or "job" would be taken for its own
            made = await submit_job(asked.database, asked.bus, job, parameters, key, deadline=deadline)
            if not as_json:
                _show(made, where, app)
            return made, await _awaited(asked, made.id) if wait else None

    made, ended = asyncio.run(run())
    if as_json:
        told = {**asdict(made), "next_step": _next_step(made, where, app)}
        show_json({**told, **({} if ended is None else _end(ended))})
    elif ended is not None:
        _show_end(ended)
    if ended is not None and JOB.by_name[ended["status"]].failure:
        raise typer.Exit(1)


async def _awaited(app: AsyncCoreMachine, job_id: str) -> Row:
    with progress_shown() as show:
        return await watch(app, job_id, show)


def _show(made: Submission, where: Where, app: str | None) -> None:
    typer.echo(f"job     {made.id}")
    typer.echo(f"type    {made.job_type}")
    typer.echo(f"created {'now' if made.created else 'before; nothing has changed'}")
    typer.echo(f"status  {made.status}")
    if made.result is not None:
        typer.echo(f"result  {json.dumps(made.result, ensure_ascii=False)}")
    typer.echo(f"next    {_next_step(made, where, app)}")


def _next_step(made: Submission, where: Where, app: str | None) -> str:
    if not made.created:
        return made.next_step
    run_it = where.command("coremachine worker --app MODULE", app)
    return f"run it: {run_it}; watch it: {where.command(f'coremachine timeline {made.id[:SHORT]} --follow')}"


def _end(job: Row) -> dict[str, object]:
    return {"status": job["status"], "result": job["result"], "error": job["error"]}


def _show_end(job: Row) -> None:
    typer.echo(f"ended   {job['status']}")
    if job["error"]:
        typer.echo(f"error   {job['error'].get('type')}: {job['error'].get('message')}")
    elif job["result"] is not None:
        typer.echo(f"result  {json.dumps(job['result'], ensure_ascii=False)}")
