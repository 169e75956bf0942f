"""`coremachine soak`: jobs run while workers are killed or stopped and PostgreSQL is restarted."""

import logging
from pathlib import Path
from random import SystemRandom
from typing import Annotated

import typer

from ...soak.housekeeping import LARGEST_SEED
from ...soak.options import Options
from ...soak.report import last_line, markdown, report_data
from ...soak.soak import Soak
from ...soak.workers import worker_command
from ..logs import configure_logs
from ..options import AsJson
from ..terminal import show_json

JOBS = "coremachine.runtime.soak.jobs"


def soak(  # noqa: PLR0913 - one parameter for each option
    *,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="Minutes during which jobs are submitted.")] = 60,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Worker processes.")] = 3,
    lease: Annotated[float, typer.Option("--lease", min=0.2, help="Seconds that a lease of a worker lasts.")] = 2,
    reconcile: Annotated[
        float, typer.Option("--reconcile", min=0.1, help="Seconds between reconciler runs of a worker.")
    ] = 1,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Use the default leases and the default of every other setting.")
    ] = False,
    kill_every: Annotated[
        float, typer.Option("--kill-every", min=0.1, help="Mean seconds between two kills or stops of a worker.")
    ] = 3,
    restart_every: Annotated[
        float, typer.Option("--restart-every", min=1, help="Mean seconds between two restarts of PostgreSQL.")
    ] = 180,
    open_jobs: Annotated[int, typer.Option("--open", min=1, help="Number of jobs that are kept open.")] = 30,
    seed: Annotated[int | None, typer.Option("--seed", help="Random seed. Default: a new one.")] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Directory for the report, the logs and the handlers' files."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run jobs that fail at random, kill or stop workers and restart PostgreSQL meanwhile, and check each job.

    It starts its own PostgreSQL in a temporary directory. Progress goes to standard error, the report to standard
    output; its last line is the number of violations. Exit code 0: no violations. 3: violations.
    """
    configure_logs("error")
    # the pool logs every connection that a restart has closed
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
    run = Soak(options, worker_command(JOBS))
    run.run()
    data = report_data(options, run.figures, run.seconds, run.postgres, run.size)
    page = markdown(data, run.figures)
    if keep is not None:
        (keep / "report.md").write_text(f"{page}\n", encoding="utf-8")
    if as_json:
        show_json(data)
        typer.echo(last_line(run.figures), err=True)
    else:
        typer.echo(page)
    if run.figures.violations:
        raise typer.Exit(3)
