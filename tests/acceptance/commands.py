"""Running the command line as a user does: in a separate process."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.forking import forks

ROOT = Path(__file__).parents[2]
JOBS = Path(__file__).with_name("declared_jobs.py")
COMMAND = [sys.executable, "-m", "coremachine"]


def environment(url: str | None, **more: str) -> dict[str, str]:
    """The environment of a command: of our variables only this database and short waits."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COREMACHINE_")}
    ours = {"COREMACHINE_URL": url} if url else {}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm",
        "TZ": "UTC",
        "COREMACHINE_POLL": "0.2",
        **ours,
        **more,
    }


def run(
    *arguments: str,
    url: str | None = None,
    code: int = 0,
    stdin: str = "",
    cwd: Path | None = None,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed. It must end with `code`, and without a traceback."""
    done = forks().run(arguments, env=environment(url, **more), cwd=cwd, stdin=stdin)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def run_json(*arguments: str, url: str, code: int = 0) -> Any:
    """Run a command that prints JSON, and return that."""
    return json.loads(run(*arguments, url=url, code=code).stdout)


def error_of(*arguments: str, url: str | None = None, stdin: str = "", cwd: Path | None = None, **more: str) -> str:
    """The one line that a command which fails with exit code 1 writes to standard error, without the prefix."""
    done = run(*arguments, url=url, code=1, stdin=stdin, cwd=cwd, **more)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@contextmanager
def started(*arguments: str, url: str, **more: str) -> Generator["subprocess.Popen[str]"]:
    """A command that keeps running, with pipes for its output. It is killed if the test has not ended it."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(url, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def line_with(stream: IO[str] | None, text: str) -> str:
    """Wait for a line that contains `text`, and return it."""
    assert stream is not None
    for line in stream:
        if text in line:
            return line
    raise AssertionError(f"the command ended without printing {text!r}")
