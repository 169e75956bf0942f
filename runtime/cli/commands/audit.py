"""`coremachine audit`: every gap check of the register, run on live data."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ...app.audit import Audit, Finding, drifted
from ...errors import SchemaError
from ..app_loader import load
from ..options import AppName, AsJson, DatabaseOptions, DataDir, SchemaName, Url, application
from ..terminal import SHORT_ID, print_table, show_json

SHOWN = 3
BAD, LESS_BAD = 3, 4
EXIT = {"critical": BAD, "high": BAD, "medium": LESS_BAD}
COLOURS = {"critical": "red", "high": "red", "medium": "yellow", "info": "dim"}


def audit(  # noqa: PLR0913 - one parameter for each option
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GAP-N", help="Run only this check; can be repeated.")
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
    """Check live data for every known gap, and print what to do. Takes no locks.

    Exit code 0: no findings, or only informational ones. 3: a critical or high finding. 4: medium findings only.
    """
    core = application(load(app), DatabaseOptions(url, schema, data_dir))

    async def run() -> Audit:
        try:
            async with core:
                return await core.audit([one.upper() for one in only or ()], record=record)
        except SchemaError as error:
            if error.found is None:
                raise
            # no statement can be trusted on a schema that another declaration made
            return drifted(str(error))

    result = asyncio.run(run())
    if as_json:
        show_json({"trouble": result.trouble, **asdict(result)})
    else:
        _show(result)
    if result.trouble is not None:
        raise typer.Exit(EXIT[result.trouble])


def _show(result: Audit) -> None:
    if result.findings:
        table = Table("id", "severity", "rows", "gap", "remedy", box=None, pad_edge=False, header_style="bold")
        for one in result.findings:
            severity = Text(one.severity, style=COLOURS[one.severity])
            table.add_row(Text(one.id), severity, str(one.count), Text(one.gap), Text(one.remedy))
        print_table(table)
        for one in result.findings:
            _show_examples(one)
    number = len(result.checked)
    checks = "1 check" if number == 1 else f"{number} checks"
    typer.echo(f"{checks}: {'no problems found' if result.trouble is None else f'worst finding: {result.trouble}'}")


def _show_examples(one: Finding) -> None:
    for example in one.examples[:SHOWN]:
        job = f"job {example.job_id[:SHORT_ID]}, " if example.job_id else ""
        typer.echo(f"  {one.id}: {job}{example.subject}: {example.detail}")
    if one.count > SHOWN:
        typer.echo(f"  {one.id}: and {one.count - SHOWN} more; --json lists up to 20")
