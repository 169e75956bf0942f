import argparse
import sys
from time import perf_counter

from tests.model.explore import explore
from tests.model.rules import RULES
from tests.model.state import World


def main() -> int:
    """Explore every state of a job, and say what is wrong in any of them. Exits with 1 where something is."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=main.__doc__)
    for name in ("stages", "tasks", "workers", "max-attempts", "max-rescues", "cancels", "resumes"):
        field = name.replace("-", "_")
        parser.add_argument(f"--{name}", type=int, default=getattr(World, field), help="default: %(default)s")
    parser.add_argument("--policy", choices=("fail_fast", "finish_siblings"), default="fail_fast")
    parser.add_argument("--finalizer-fails", action="store_true", help="the finalizer is required, and may fail")
    parser.add_argument("--deadline", action="store_true", help="the job has a deadline")
    parser.add_argument("--timeouts", action="store_true", help="each attempt has a timeout")
    parser.add_argument("--batches", action="store_true", help="two outcomes may come in one transaction")
    parser.add_argument("--beyond", action="store_true", help="continue from states in which something is wrong")
    parser.add_argument("--stuck", action="store_true", help="a handler may never end")
    parser.add_argument("--drop", action="append", choices=sorted(RULES), default=[], help="a rule to do without")
    parser.add_argument("--limit", type=int, help="give up after so many states")
    given = vars(parser.parse_args())
    dropped, limit = frozenset(given.pop("drop")), given.pop("limit")
    began = perf_counter()
    report = explore(World(**given, dropped=dropped), limit)
    sys.stdout.write(f"{report}\n{perf_counter() - began:.1f} s\n")
    return 1 if report.found else 0


if __name__ == "__main__":
    sys.exit(main())
