"""`python -m coremachine.diagrams`: draw lifecycles and the shapes of jobs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..statemachine.errors import CoreMachineError
from .export import FORMATS, export, find_graphs, render


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the target of the command line. Returns the exit code: 0, or 1 with a message on standard error."""
    options = _parser().parse_args(arguments)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  (sys.path wants a str; MODULE:NAME is meant from here)
    try:
        if options.output is None:
            for graph in find_graphs(options.target):
                sys.stdout.buffer.write(render(graph, options.format))
            sys.stdout.buffer.flush()
        else:
            for file in export(options.target, options.format, options.output):
                sys.stdout.write(f"wrote {file}\n")
    except (CoreMachineError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    finally:
        sys.path.pop(0)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m coremachine.diagrams", description="Draw a lifecycle or a job.")
    parser.add_argument("target", help="job, stage, task, callback, all, or MODULE:NAME of a Lifecycle or a Job")
    parser.add_argument("--format", choices=FORMATS, default="svg", help="default: svg")
    parser.add_argument("-o", "--output", type=Path, help="file to write, or directory for `all`; default: stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
