"""`coremachine diagram`: lifecycles and the shapes of jobs as pictures."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ....diagrams.export import Format, export, find_graphs, render
from ....statemachine.job import Job
from ....statemachine.lifecycle import Lifecycle
from ..app_loader import AppError, import_target, split


def diagram(
    *,
    target: Annotated[
        str, typer.Argument(help="job, stage, task, callback, all, or MODULE:NAME of a Lifecycle or a Job.")
    ],
    picture_format: Annotated[Format, typer.Option("--format", help="Format of the picture.")] = "svg",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, or directory for `all`. Default: standard output."),
    ] = None,
) -> None:
    """Draw a lifecycle, or the shape of a job. No Graphviz has to be installed."""
    module_name, name = split(target)
    if target.endswith(".py"):
        module_name, name = target, _only_name(target)
    if module_name and name:
        # imported here, so that an error in the module is reported as it is for --app
        target = f"{import_target(module_name).__name__}:{name}"
    if output is not None:
        for file in export(target, picture_format, output):
            typer.echo(f"wrote {file}")
        return
    if picture_format == "png" and sys.stdout.isatty():
        raise typer.BadParameter("a PNG cannot be printed on a terminal; give -o FILE")
    for graph in find_graphs(target):
        sys.stdout.buffer.write(render(graph, picture_format))
    sys.stdout.buffer.flush()


def _only_name(file: str) -> str:
    """The name of the only Job or Lifecycle in a file. Raises AppError if there is none, or more than one."""
    names = [name for name, value in vars(import_target(file)).items() if isinstance(value, Job | Lifecycle)]
    if not names:
        raise AppError(file, "no Job and no Lifecycle found")
    if len(names) > 1:
        raise AppError(file, f"choose one of {', '.join(f'{file}:{name}' for name in names)}")
    return names[0]
