"""The program: its commands, and what it does with an error."""

import os
import sys
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ...statemachine.errors import CoreMachineError
from ..worker.parent_watch import ParentWatch
from .commands.audit import audit
from .commands.bench import bench
from .commands.bus import bus
from .commands.cancel import cancel
from .commands.db import db
from .commands.ddl import ddl
from .commands.demo import demo
from .commands.diagram import diagram
from .commands.jobs import jobs
from .commands.resume import resume
from .commands.serve import serve
from .commands.soak import soak
from .commands.submit import submit
from .commands.timeline import timeline
from .commands.why import why
from .commands.worker import worker
from .env_check import misspelled_settings
from .errors import report_error
from .logs import configure_logs

INTERRUPTED = 130


class CommandGroup(TyperGroup):
    """The commands. An error that one of them raises is one line on standard error, and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the requested command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # the reader has gone, as `head` does; typer ends quietly
        except (CoreMachineError, OSError) as error:
            report_error(error, debug=ctx.params["debug"])
            raise typer.Exit(1) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in {"typer", "click"}:
                raise  # wrong usage, which typer explains
            report_error(error, debug=ctx.params["debug"])
            raise typer.Exit(1) from error


program = typer.Typer(
    name="coremachine",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(requested: bool) -> None:  # noqa: FBT001 - as typer calls it
    if requested:
        typer.echo(f"coremachine {installed_version('coremachine')}")
        raise typer.Exit


@program.callback()
def coremachine(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="COREMACHINE_DEBUG", help="Show the traceback of an error, and log more.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - the callback answers it
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Pipelines of jobs, stages and tasks on PostgreSQL, in which no failure is silent."""
    configure_logs("debug" if debug else "warning")
    if not ParentWatch.is_requested():
        for name, similar in misspelled_settings(os.environ):
            typer.echo(f"warning: {name} is not a setting of CoreMachine; did you mean {similar}?", err=True)


for command in (demo, submit, worker, jobs, timeline, why, resume, cancel, audit, serve, ddl, diagram, soak):
    program.command()(command)
program.add_typer(bus, name="bus")
program.add_typer(db, name="db")
program.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # an encoding without ● must not turn a timeline into an error
            stream.reconfigure(errors="replace")
    program(prog_name="coremachine")
