"""The program: every command, and what becomes of an error."""

import os
import sys
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ...statemachine.errors import CoreMachineError
from .audit import audit
from .bench import bench
from .bus import bus
from .change import cancel, resume
from .db import db
from .ddl import ddl
from .demo import demo
from .diagram import diagram
from .errors import tell
from .jobs import jobs
from .logs import configure_logs
from .processes import Leash
from .serve import serve
from .soak import soak
from .submit import submit
from .timeline import timeline
from .variables import misspelt
from .why import why
from .worker import worker

INTERRUPTED = 130


class Commands(TyperGroup):
    """The commands. An error that one of them raises is one line on standard error, and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # the reader has gone, as `head` does; typer ends quietly
        except (CoreMachineError, OSError) as error:
            tell(error, debug=ctx.params["debug"])
            raise typer.Exit(1) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in {"typer", "click"}:
                raise  # wrong usage, which typer explains
            tell(error, debug=ctx.params["debug"])
            raise typer.Exit(1) from error


program = typer.Typer(
    name="coremachine",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        typer.echo(f"coremachine {installed_version('coremachine')}")
        raise typer.Exit


@program.callback()
def coremachine(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="COREMACHINE_DEBUG", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - the callback answers it
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Pipelines of jobs, stages and tasks on PostgreSQL, in which no failure is silent."""
    configure_logs("debug" if debug else "warning")
    if not Leash.worn():
        for name, meant in misspelt(os.environ):
            typer.echo(f"warning: {name} is no setting of CoreMachine; {meant} is", err=True)


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
