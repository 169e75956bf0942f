"""`coremachine audit`: every gap of the register, looked for in live data."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..app.audit import Audit, Finding, drifted
from ..errors import SchemaError
from .declared import load
from .options import AppName, AsJson, DataDir, SchemaName, Url, Where, application
from .terminal import in_colour, show_json

WIDEST = 10_000
SHOWN = 3
BAD, LESS_BAD = 3, 4
EXIT = {"critical": BAD, "high": BAD, "medium": LESS_BAD}
COLOURS = {"critical": "red", "high": "red", "medium": "yellow", "info": "dim"}


def audit(  # noqa: PLR0913 - one parameter for each option
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GAP-N", help="Only this check; may be given again.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write a gap_found event to each job with a critical or high finding.")
    ] = False,
    as_json: AsJson = False,
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Check live data for every known gap, and say what to do. Locks nothing.

    Exits with 0 where all is well, 3 for a critical or high finding, and 4 where the worst is medium.
    """
    asked = application(load(app), Where(url, schema, data_dir))

    async def run() -> Audit:
        try:
            async with asked:
                return await asked.audit([one.upper() for one in only or ()], record=record)
        except SchemaError as error:
            if error.found is None:
                raise
            # no statement can be trusted on a schema that another declaration made
            return drifted(str(error))

    found = asyncio.run(run())
    if as_json:
        show_json({"trouble": found.trouble, **asdict(found)})
    else:
        _show(found)
    if found.trouble is not None:
        raise typer.Exit(EXIT[found.trouble])


def _show(found: Audit) -> None:
    if found.findings:
        table = Table("id", "severity", "rows", "gap", "remedy", box=None, pad_edge=False, header_style="bold")
        for one in found.findings:
            severity = Text(one.severity, style=COLOURS[one.severity])
            table.add_row(Text(one.id), severity, str(one.count), Text(one.gap), Text(one.remedy))
        # as wide as it is: a table that is piped must not lose a column
        console = Console(width=WIDEST, highlight=False)
        console.no_color = console.no_color or not in_colour(console.file)
        console.print(table)
        for one in found.findings:
            _show_examples(one)
    checks = f"{len(found.checked)} checks"
    typer.echo(f"{checks}: {'all is well' if found.trouble is None else f'the worst is {found.trouble}'}")


def _show_examples(one: Finding) -> None:
    for example in one.examples[:SHOWN]:
        job = f"job {example.job_id[:12]}, " if example.job_id else ""
        typer.echo(f"  {one.id}: {job}{example.subject}: {example.detail}")
    if one.count > SHOWN:
        typer.echo(f"  {one.id}: and {one.count - SHOWN} more; --json lists up to 20")
