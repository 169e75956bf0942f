"""A short storm: every kind of fault strikes, jobs complete, and there are no violations."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import ROOT, environment
from tests.storm.options import MEANS

LONGEST = 1100.0
BRIEF = ("--minutes", "0.4", "--scale", "0.4", "--lease", "1", "--open", "8", "--seed", "7")

pytestmark = pytest.mark.timeout(1200)


def test_every_kind_of_fault_strikes_and_nothing_is_violated(tmp_path: Path) -> None:
    report = tmp_path / "storm.md"
    done = subprocess.run(
        [sys.executable, "-m", "tests.storm", *BRIEF, "--report", str(report)],
        env=environment(None),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert report.read_text(encoding="utf-8") == done.stdout
    assert done.stdout.splitlines()[-1] == "0 violations"
    table = cells(done.stdout)
    assert {kind: int(table[kind]) > 0 for kind in MEANS} == dict.fromkeys(MEANS, True)
    assert "completed" in table["jobs checked, by end"]
    assert int(table["jobs submitted"]) == int(table["jobs checked, by end"].split()[0]) > 0


def cells(page: str) -> dict[str, str]:
    """The second column of each table row, by the first."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in rows}
