import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from coremachine.runtime.cli.logs import configure_logs
from coremachine.runtime.soak.housekeeping import LARGEST_SEED
from tests.storm.options import Options
from tests.storm.report import markdown
from tests.storm.storm import Storm

PROGRAM = "Run jobs in a storm of faults, and check each of them. Exits with 1 if there are violations."


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns 1 if there are violations."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=PROGRAM)
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="minutes during which jobs are submitted and faults strike"
    )
    parser.add_argument("--seed", type=int, help="random seed; default: a new one")
    parser.add_argument("--report", type=Path, help="file for the report, which is also printed")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="directory for the logs and the handlers' files")
    parser.add_argument("--workers", type=int, default=3, help="worker processes")
    parser.add_argument("--open", type=int, default=25, help="number of jobs that are kept open")
    parser.add_argument("--lease", type=float, default=2.0, help="seconds that a lease of a worker lasts")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which an open job counts as stuck")
    parser.add_argument("--scale", type=float, default=1.0, help="factor for the times of the faults")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the faults whose name contains this text")
    options = parser.parse_args(arguments)
    configure_logs("error")
    # the pool logs every connection that a restart has closed
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    storm = Storm(
        Options(
            minutes=options.minutes,
            seed=SystemRandom().randrange(LARGEST_SEED) if options.seed is None else options.seed,
            workers=options.workers,
            open_jobs=options.open,
            lease=options.lease,
            limit=options.limit,
            scale=options.scale,
            only=options.only,
            keep=options.keep,
        )
    )
    storm.run()
    page = f"{markdown(storm)}\n"
    if options.report is not None:
        options.report.write_text(page, encoding="utf-8")
    sys.stdout.write(page)
    return 1 if storm.figures.violations else 0


if __name__ == "__main__":
    sys.exit(main())
