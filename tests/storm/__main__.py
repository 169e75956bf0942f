import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from coremachine.runtime.cli.logs import configure_logs
from coremachine.runtime.soak.driver import LARGEST_SEED
from tests.storm.options import Options
from tests.storm.report import markdown
from tests.storm.storm import Storm

PROGRAM = "Run jobs in a storm of faults, and judge each of them. Exits with 1 if anything was violated."


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=PROGRAM)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long jobs are submitted and faults strike")
    parser.add_argument("--seed", type=int, help="of all that is random; else one is drawn")
    parser.add_argument("--report", type=Path, help="file for the report, which is printed as well")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keeps logs and what handlers left")
    parser.add_argument("--workers", type=int, default=3, help="worker processes")
    parser.add_argument("--open", type=int, default=25, help="jobs that are kept open at a time")
    parser.add_argument("--lease", type=float, default=2.0, help="lease of the workers, in seconds")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which an open job is stuck")
    parser.add_argument("--scale", type=float, default=1.0, help="shortens the times of the faults")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the faults whose name contains this")
    asked = parser.parse_args(arguments)
    configure_logs("error")
    # the pool logs every connection that a restart has cost
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    storm = Storm(
        Options(
            minutes=asked.minutes,
            seed=SystemRandom().randrange(LARGEST_SEED) if asked.seed is None else asked.seed,
            workers=asked.workers,
            open_jobs=asked.open,
            lease=asked.lease,
            limit=asked.limit,
            scale=asked.scale,
            only=asked.only,
            keep=asked.keep,
        )
    )
    storm.run()
    page = f"{markdown(storm)}\n"
    if asked.report is not None:
        asked.report.write_text(page, encoding="utf-8")
    sys.stdout.write(page)
    return 1 if storm.figures.violations else 0


if __name__ == "__main__":
    sys.exit(main())
