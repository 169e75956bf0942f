"""`coremachine jobs`: the latest jobs as a table."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...statemachine.lifecycles import JOB
from ..store.session import Row
from .declared import load
from .options import AppName, AsJson, DataDir, SchemaName, Url, Where, application
from .terminal import in_colour, short_ids, show_json, span

COLUMNS = ("job", "type", "status", "stage", "tasks", "age", "duration")
WIDEST = 10_000


def jobs(  # noqa: PLR0913 - one parameter for each option
    *,
    status: Annotated[str | None, typer.Option("--status", help=f"One of {', '.join(JOB.by_name)}.")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only jobs of this type.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """List the latest jobs, newest first."""
    if status is not None and status not in JOB.by_name:
        raise typer.BadParameter(f"--status is one of {', '.join(JOB.by_name)}, not {status!r}")
    asked = application(load(app), Where(url, schema, data_dir))

    async def listed() -> list[Row]:
        async with asked:
            return await asked.list_jobs(status=status, job_type=job_type, limit=limit)

    rows = asyncio.run(listed())
    if as_json:
        show_json([{name: value for name, value in row.items() if name != "now"} for row in rows])
    elif rows:
        _show(rows)
    else:
        typer.echo("no jobs")


def _show(rows: list[Row]) -> None:
    short = short_ids(row["job_id"] for row in rows)
    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(short[row["job_id"]], row["job_type"], _status(row["status"]), *_numbers(row))
    # as wide as it is: a table that is piped must not lose a column
    console = Console(width=WIDEST, highlight=False)
    console.no_color = console.no_color or not in_colour(console.file)
    console.print(table)


def _status(name: str) -> Text:
    state = JOB.by_name[name]
    colour = "red" if state.failure else "green" if state.terminal else "yellow"
    return Text(name, style=colour)


def _numbers(row: Row) -> tuple[str, str, str, str]:
    now: datetime = row["now"]
    started, ended = row["started_at"], row["finished_at"]
    duration = "–" if started is None else span((ended or now) - started)
    return (
        f"{row['stage'] or 0}/{row['stage_count']}",
        f"{row['tasks_ended'] or 0}/{row['tasks_total']}",
        span(now - row["created_at"]),
        duration,
    )
