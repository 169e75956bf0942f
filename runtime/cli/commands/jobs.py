"""`coremachine jobs`: the latest jobs as a table."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

import typer
from rich.table import Table
from rich.text import Text

from ....statemachine.lifecycles import JOB
from ...store.session import Row
from ..app_loader import load
from ..options import AppName, AsJson, DatabaseOptions, DataDir, SchemaName, Url, application
from ..terminal import format_duration, print_table, short_ids, show_json

COLUMNS = ("job", "type", "status", "stage", "tasks", "age", "duration")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """One line of the table. `stage` is the stage that the job has reached, `now` the time of the query."""

    id: str
    job_type: str
    status: str
    stage: int
    stage_count: int
    tasks_ended: int
    tasks_total: int
    now: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """From a row of list_jobs."""
        return cls(
            id=row["job_id"],
            job_type=row["job_type"],
            status=row["status"],
            stage=row["stage"] or 0,
            stage_count=row["stage_count"],
            tasks_ended=int(row["tasks_ended"] or 0),
            tasks_total=row["tasks_total"],
            now=row["now"],
            created_at=row["created_at"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
        )

    @property
    def duration(self) -> str:
        """How long it has run, or ran."""
        return "–" if self.started_at is None else format_duration((self.finished_at or self.now) - self.started_at)


def jobs(  # noqa: PLR0913 - one parameter for each option
    *,
    status: Annotated[
        str | None, typer.Option("--status", help=f"Only jobs in this state: {', '.join(JOB.by_name)}.")
    ] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only jobs of this type.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of jobs.")] = 50,
    as_json: AsJson = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """List the latest jobs, newest first."""
    if status is not None and status not in JOB.by_name:
        raise typer.BadParameter(f"--status must be one of {', '.join(JOB.by_name)}, not {status!r}")
    core = application(load(app), DatabaseOptions(url, schema, data_dir))

    async def run() -> list[Row]:
        async with core:
            return await core.list_jobs(status=status, job_type=job_type, limit=limit)

    rows = asyncio.run(run())
    if as_json:
        show_json([{name: value for name, value in row.items() if name != "now"} for row in rows])
    elif rows:
        _show([ListedJob.of(row) for row in rows])
    else:
        typer.echo("no jobs")


def _show(listed: list[ListedJob]) -> None:
    short = short_ids(job.id for job in listed)
    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for job in listed:
        table.add_row(
            short[job.id],
            job.job_type,
            _status(job.status),
            f"{job.stage}/{job.stage_count}",
            f"{job.tasks_ended}/{job.tasks_total}",
            format_duration(job.now - job.created_at),
            job.duration,
        )
    print_table(table)


def _status(name: str) -> Text:
    state = JOB.by_name[name]
    colour = "red" if state.failure else "green" if state.terminal else "yellow"
    return Text(name, style=colour)
