"""`coremachine resume`: run what is left of a failed or cancelled job."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from ...flow.resume import ResumePlan
from ..app_loader import load
from ..options import AppName, AsJson, DatabaseOptions, DataDir, JobId, SchemaName, Url, application
from ..terminal import SHORT_ID, show_json


def resume(  # noqa: PLR0913 - one parameter for each option
    *,
    job: JobId,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would run again.")] = False,
    as_json: AsJson = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Resume a failed or cancelled job where it stopped: only the tasks that did not succeed run again."""
    database = DatabaseOptions(url, schema, data_dir)
    core = application(load(app), database)

    async def run() -> ResumePlan:
        async with core:
            return await core.resume(job, dry_run=dry_run)

    plan = asyncio.run(run())
    if as_json:
        show_json({**asdict(plan), "dry_run": dry_run})
        return
    resumes = "would resume" if dry_run else "resumes"
    where = f"from stage {plan.from_stage}" if plan.from_stage else "with its finalizer"
    typer.echo(f"{plan.job_id[:SHORT_ID]} {resumes} {where}: {_tasks(plan)}")
    if not dry_run:
        typer.echo(f"It needs a running worker: {database.command('coremachine worker --app MODULE', app)}")


def _tasks(plan: ResumePlan) -> str:
    kept = "1 result is kept" if plan.tasks_kept == 1 else f"{plan.tasks_kept} results are kept"
    again = "1 task runs" if plan.tasks_again == 1 else f"{plan.tasks_again} tasks run"
    return f"{again} again, {kept}" if plan.tasks_again else kept
