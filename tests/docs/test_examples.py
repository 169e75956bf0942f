from pathlib import Path

from coremachine.examples.process_raster import DEM
from tests.docs.pages import ROOT, run

EXAMPLES = ROOT / "examples"


def test_the_raster_example_writes_its_picture_and_prints_a_whole_timeline(tmp_path: Path, url: str) -> None:
    printed = run(f"python {EXAMPLES / 'process_raster.py'}", tmp_path, url)

    assert "✗" not in printed
    assert "● stage_completed (stage 4)" in printed
    assert printed.splitlines()[-1].startswith("Last successful: job_completed at ")
    assert (tmp_path / "hillshade.png").read_bytes().startswith(b"\x89PNG")
    assert DEM.exists()


def test_the_approval_example_makes_its_table_and_prints_both_events(tmp_path: Path, url: str) -> None:
    printed = run(f"python {EXAMPLES / 'approval.py'}", tmp_path, url).splitlines()

    assert printed[0] == "Elevation of Campbell County: please look (pending)"
    assert [line.split()[1] for line in printed[1:]] == ["approval_requested", "approval_given"]


def test_the_approval_example_can_be_run_again(tmp_path: Path, empty_url: str) -> None:
    run(f"python {EXAMPLES / 'approval.py'}", tmp_path, empty_url)

    printed = run(f"python {EXAMPLES / 'approval.py'}", tmp_path, empty_url).splitlines()

    assert printed[0] == "Elevation of Campbell County: please look (approved)"
    assert len(printed) == 3
