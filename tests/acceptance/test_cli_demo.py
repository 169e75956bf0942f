import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.commands import COMMAND, environment, error_of, run, run_json

PNG = b"\x89PNG\r\n\x1a\n"


def test_the_demo_writes_a_picture_and_prints_its_statistics(url: str, tmp_path: Path) -> None:
    done = run("demo", url=url, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert (tmp_path / "hillshade.png").read_bytes().startswith(PNG)
    assert re.match(r"Job: [0-9a-f]{6,} - process_raster_v2", lines[1])
    assert any(line.startswith("Last successful: job_completed at ") for line in lines)
    assert f"Picture:    {tmp_path / 'hillshade.png'}" in lines
    assert "Elevation:  min 236.0 m, max 1076.0 m, mean 531.0 m" in lines
    assert "Cell size:  0.000833° × 0.000833° (74.6 m × 92.5 m)" in lines
    assert "stage 4/4 mosaic: completed, 1/1 tasks" in done.stderr


def test_a_second_demo_finds_the_job_and_a_key_runs_it_again(url: str, tmp_path: Path) -> None:
    picture = tmp_path / "place" / "shade.png"
    run("demo", "--output", str(picture), url=url)
    again = run("demo", "--output", str(picture), url=url)
    assert again.stdout.startswith("This job is already done and was not run again")
    assert 'make demo ARGS="--key again"' in again.stdout
    assert "Last successful: job_completed at " in again.stdout
    assert again.stderr == ""
    picture.unlink()
    assert "the file is no longer there" in run("demo", "--output", str(picture), url=url).stdout
    run("demo", "--output", str(picture), "--key", "again", url=url)
    assert picture.read_bytes().startswith(PNG)
    assert len(run_json("jobs", "--json", url=url)) == 2


def test_a_demo_of_failure_shows_it_and_what_to_do_next(url: str, tmp_path: Path) -> None:
    first = run("demo", "--fail", url=url, cwd=tmp_path).stdout
    again = run("demo", "--fail", url=url, cwd=tmp_path).stdout
    (job,) = run_json("jobs", "--json", url=url)
    assert job["status"] == "failed"
    assert re.search(r"✗ task_failed \(task-\d{3}\)  ← ERROR HERE", first)
    assert "lies outside the raster of 344 by 403 cells" in first
    for output in (first, again):
        assert f"timeline {job['job_id'][:12]} --all" in output
        assert f"resume {job['job_id'][:12]}" in output
        assert "demo --fail --key again" in output
    assert again.startswith("This job has already failed and was not run again")
    assert "← ERROR HERE" in again


def test_on_a_terminal_each_stage_has_a_bar(url: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "demo"], env=environment(url), cwd=tmp_path, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()))
    for stage, count in (
        ("1/4 check", "1/1"),
        ("2/4 windows", "1/1"),
        ("3/4 hillshade", "12/12"),
        ("4/4 mosaic", "1/1"),
    ):
        assert any(line.startswith(stage) and "━" * 30 in line and count in line for line in lines), stage


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other end is closed
        return b""


@pytest.mark.parametrize("module", ["numpy", "PIL"])
def test_without_a_package_that_the_demo_needs_it_prints_what_to_install(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError('no', name='{module}')\n")
    message = error_of("demo", cwd=tmp_path)
    assert message == (
        f"the demo: it needs numpy and pillow, and {module} is not installed; run pip install 'coremachine[demo]'"
    )
