"""The storm, in miniature: every kind of fault strikes, jobs complete, and no rule is violated."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import ROOT, environment
from tests.storm.options import MEANS

LONGEST = 280.0
BRIEF = ("--minutes", "0.4", "--scale", "0.4", "--lease", "1", "--open", "8", "--seed", "7")

pytestmark = pytest.mark.timeout(300)


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
    told = cells(done.stdout)
    assert {kind: int(told[kind]) > 0 for kind in MEANS} == dict.fromkeys(MEANS, True)
    assert "completed" in told["jobs judged, by end"]
    assert int(told["jobs submitted"]) == int(told["jobs judged, by end"].split()[0]) > 0


def cells(page: str) -> dict[str, str]:
    """The second column of each table row, by the first."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in rows}
