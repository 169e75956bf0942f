"""`coremachine soak`: whether it holds while workers are killed or stopped and PostgreSQL is restarted."""

import logging
import sys
from pathlib import Path
from random import SystemRandom
from typing import Annotated

import typer

from ..soak.fleet import Command
from ..soak.options import Options
from ..soak.report import last_line, markdown, report_data
from ..soak.soak import Soak
from .logs import configure_logs
from .options import AsJson
from .processes import LEASH_VARIABLE
from .terminal import show_json

JOBS = "coremachine.runtime.soak.jobs"
LARGEST_SEED = 2**31


def soak(  # noqa: PLR0913 - one parameter for each option
    *,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="How long jobs are submitted.")] = 60,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Worker processes.")] = 3,
    lease: Annotated[float, typer.Option("--lease", min=0.2, help="Lease of the workers, in seconds.")] = 2,
    reconcile: Annotated[float, typer.Option("--reconcile", min=0.1, help="How often workers reconcile.")] = 1,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Leases and all other settings as they are by default.")
    ] = False,
    kill_every: Annotated[
        float, typer.Option("--kill-every", min=0.1, help="Mean seconds between two kills or stops.")
    ] = 3,
    restart_every: Annotated[
        float, typer.Option("--restart-every", min=1, help="Mean seconds between two restarts of PostgreSQL.")
    ] = 180,
    open_jobs: Annotated[int, typer.Option("--open", min=1, help="Jobs that are kept open at a time.")] = 30,
    seed: Annotated[int | None, typer.Option("--seed", help="Of all that is random; else one is drawn.")] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keeps report, logs and what handlers left."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run jobs that fail at random, kill or stop workers and restart PostgreSQL meanwhile, and judge each job.

    It uses a PostgreSQL of its own in a temporary directory. Progress goes to standard error, the report to standard
    output; the last line is the number of violations. Exits with 0 only where there is none, else with 3.
    """
    configure_logs("error")
    # the pool tells of every connection that a restart has cost
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    options = Options(
        minutes=minutes,
        workers=workers,
        lease=lease,
        reconcile=reconcile,
        kill_every=kill_every,
        restart_every=restart_every,
        open_jobs=open_jobs,
        seed=SystemRandom().randrange(LARGEST_SEED) if seed is None else seed,
        defaults=defaults,
        keep=keep,
    )
    arguments = (sys.executable, "-m", "coremachine", "worker", "--app", JOBS, "--log-level", "info")
    made = Soak(options, Command(arguments, {LEASH_VARIABLE: "1"}))
    made.run()
    data = report_data(options, made.figures, made.seconds, made.postgres, made.size)
    page = markdown(data, made.figures)
    if keep is not None:
        (keep / "report.md").write_text(f"{page}\n", encoding="utf-8")
    if as_json:
        show_json(data)
        typer.echo(last_line(made.figures), err=True)
    else:
        typer.echo(page)
    if made.figures.violations:
        raise typer.Exit(3)
