"""`coremachine resume` and `coremachine cancel`: what a person decides about a job."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from ..flow.resume import ResumePlan
from .declared import load
from .options import AppName, AsJson, DataDir, JobId, SchemaName, Url, Where, application
from .terminal import show_json


def resume(  # noqa: PLR0913 - one parameter for each option
    *,
    job: JobId,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run again.")] = False,
    as_json: AsJson = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Let a failed or cancelled job go on where it stopped: only what did not succeed runs again."""
    there = Where(url, schema, data_dir)
    asked = application(load(app), there)

    async def run() -> ResumePlan:
        async with asked:
            return await asked.resume(job, dry_run=dry_run)

    plan = asyncio.run(run())
    if as_json:
        show_json({**asdict(plan), "dry_run": dry_run})
        return
    would = "would go on" if dry_run else "goes on"
    where = f"from stage {plan.from_stage}" if plan.from_stage else "with its finalizer"
    typer.echo(f"{plan.job_id[:12]} {would} {where}: {_tasks(plan)}")
    if not dry_run:
        typer.echo(f"a worker has to run for that: {there.command('coremachine worker --app MODULE', app)}")


def cancel(  # noqa: PLR0913 - one parameter for each option
    *,
    job: JobId,
    reason: Annotated[str, typer.Option("--reason", help="Told by the events of what is cancelled.")] = "by a user",
    as_json: AsJson = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Cancel a job: what has not started never will, what runs is asked to stop."""
    asked = application(load(app), Where(url, schema, data_dir))

    async def run() -> tuple[str, str]:
        async with asked:
            full = await asked.full_id(job)
            return full, await asked.cancel(full, reason)

    full, status = asyncio.run(run())
    if as_json:
        show_json({"job_id": full, "status": status})
    elif status == "cancelled":
        typer.echo(f"{full[:12]} is cancelled")
    else:
        typer.echo(f"{full[:12]} is {status}: its running tasks were asked to stop, and it ends when they have")


def _tasks(plan: ResumePlan) -> str:
    kept = "1 result is kept" if plan.tasks_kept == 1 else f"{plan.tasks_kept} results are kept"
    again = "1 task runs" if plan.tasks_again == 1 else f"{plan.tasks_again} tasks run"
    return f"{again} again, {kept}" if plan.tasks_again else kept
