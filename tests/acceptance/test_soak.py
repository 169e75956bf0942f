"""A short soak: it kills, restarts, checks and reports, and it fails if there is a violation."""

import json
import subprocess
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.acceptance.commands import COMMAND, environment

LONGEST = 1100.0
QUICK = ("--lease", "1", "--reconcile", "0.5", "--workers", "2", "--open", "6", "--seed", "11")
NEVER = ("--kill-every", "10000", "--restart-every", "10000")

pytestmark = pytest.mark.timeout(1200)


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
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, report["violations"]) == (0, []), (done.stdout, done.stderr)
    assert done.stderr.splitlines()[-1] == "0 violations"
    assert sum(report["kills"].values()) > 0
    assert sum(report["restarts"].values()) > 0
    assert report["jobs_submitted"] == sum(report["jobs_by_end"].values()) == report["jobs_retired"] > 0
    assert report["runs_of_handlers"] > 0
    assert report["settings"] == {"lease": 1.0, "reconcile": 0.5, "poll": 0.5, "grace": 3.0}


def test_a_missing_effect_is_a_violation_and_sets_the_exit_code(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with removing_effects(kept / "effects"):
        done = soak("--minutes", "0.1", *NEVER, "--keep", str(kept))
    assert done.returncode == 3, (done.stdout, done.stderr)
    violations, word = done.stdout.splitlines()[-1].split()
    assert (int(violations) > 0, word) == (True, "violations")
    assert "but has effects under []" in done.stdout
    assert (kept / "report.md").read_text() == done.stdout


@contextmanager
def removing_effects(folder: Path) -> Generator[None]:
    """During the block, the effects that handlers write are removed again."""
    over = Event()
    thread = Thread(target=_remove_all, args=(folder, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _remove_all(folder: Path, over: Event) -> None:
    while not over.wait(0.05):
        for file in folder.glob("*.lines") if folder.is_dir() else ():
            _remove_effects(file)


def _remove_effects(file: Path) -> None:
    try:
        lines = file.read_text().splitlines(keepends=True)
        kept: Iterable[str] = [line for line in lines if not line.startswith("effect")]
        if kept != lines:
            file.write_text("".join(kept))
    except FileNotFoundError:  # its job was checked and retired
        return
