"""The soak, in miniature: it kills, restarts, judges and reports; and it fails where something is wrong."""

import json
import subprocess
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.acceptance.commands import COMMAND, environment

LONGEST = 280.0
QUICK = ("--lease", "1", "--reconcile", "0.5", "--workers", "2", "--open", "6", "--seed", "11")
NEVER = ("--kill-every", "10000", "--restart-every", "10000")

pytestmark = pytest.mark.timeout(300)


def soak(*options: str) -> "subprocess.CompletedProcess[str]":
    """Run a soak to its end."""
    return subprocess.run(
        [*COMMAND, "soak", *QUICK, *options],
        env=environment(None),
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )


def test_workers_are_killed_and_postgresql_is_restarted_and_nothing_is_violated() -> None:
    done = soak("--minutes", "0.3", "--kill-every", "2", "--restart-every", "8", "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, told["violations"]) == (0, []), (done.stdout, done.stderr)
    assert done.stderr.splitlines()[-1] == "0 violations"
    assert sum(told["kills"].values()) > 0
    assert sum(told["restarts"].values()) > 0
    assert told["jobs_submitted"] == sum(told["jobs_by_end"].values()) == told["jobs_retired"] > 0
    assert told["runs_of_handlers"] > 0
    assert told["settings"] == {"lease": 1.0, "reconcile": 0.5, "poll": 0.5, "grace": 3.0}


def test_an_effect_that_is_not_there_is_a_violation_and_the_exit_code_says_so(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with doctoring(kept / "effects"):
        done = soak("--minutes", "0.1", *NEVER, "--keep", str(kept))
    assert done.returncode == 3, (done.stdout, done.stderr)
    violations, word = done.stdout.splitlines()[-1].split()
    assert (int(violations) > 0, word) == (True, "violations")
    assert "and left effects under []" in done.stdout
    assert (kept / "report.md").read_text() == done.stdout


@contextmanager
def doctoring(folder: Path) -> Generator[None]:
    """As long as the block lasts, the effects that handlers leave are taken away again."""
    over = Event()
    thread = Thread(target=_doctor, args=(folder, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _doctor(folder: Path, over: Event) -> None:
    while not over.wait(0.05):
        for file in folder.glob("*.lines") if folder.is_dir() else ():
            _take_effects_away(file)


def _take_effects_away(file: Path) -> None:
    try:
        lines = file.read_text().splitlines(keepends=True)
        kept: Iterable[str] = [line for line in lines if not line.startswith("effect")]
        if kept != lines:
            file.write_text("".join(kept))
    except FileNotFoundError:  # its job was judged and has gone
        return
