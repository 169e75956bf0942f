"""`coremachine diagram`: lifecycles and the shapes of jobs as pictures."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...diagrams.export import Format, export, find_graphs, render
from ...statemachine.job import Job
from ...statemachine.lifecycle import Lifecycle
from .declared import AppError, imported, split


def diagram(
    *,
    target: Annotated[
        str, typer.Argument(help="job, stage, task, callback, all, or MODULE:NAME of a Lifecycle or a Job.")
    ],
    picture_format: Annotated[Format, typer.Option("--format", help="Kind of picture.")] = "svg",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, or directory for `all`. Default: standard output."),
    ] = None,
) -> None:
    """Draw a lifecycle, or the shape of a job. No Graphviz has to be installed."""
    place, name = split(target)
    if target.endswith(".py"):
        place, name = target, _only_name(target)
    if place and name:
        # imported here, so that whatever is wrong with the module is told as it is for --app
        target = f"{imported(place).__name__}:{name}"
    if output is not None:
        for file in export(target, picture_format, output):
            typer.echo(f"wrote {file}")
        return
    if picture_format == "png" and sys.stdout.isatty():
        raise typer.BadParameter("a PNG is not for a terminal; give -o FILE")
    for graph in find_graphs(target):
        sys.stdout.buffer.write(render(graph, picture_format))
    sys.stdout.buffer.flush()


def _only_name(file: str) -> str:
    """The name of the one Job or Lifecycle in a file. Raises AppError listing them where there are several, or none."""
    names = [name for name, value in vars(imported(file)).items() if isinstance(value, Job | Lifecycle)]
    if not names:
        raise AppError(file, "no Job and no Lifecycle there")
    if len(names) > 1:
        raise AppError(file, f"which one? {', '.join(f'{file}:{name}' for name in names)}")
    return names[0]
