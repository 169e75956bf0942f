from pathlib import Path

import pytest

from coremachine.diagrams import lifecycle_graph, render
from coremachine.statemachine.lifecycles import JOB, LIFECYCLES
from tests.acceptance.commands import JOBS, error_of, run


@pytest.mark.parametrize("picture_format", ["dot", "mermaid"])
def test_a_lifecycle_goes_to_standard_output(picture_format: str) -> None:
    output = run("diagram", "job", "--format", picture_format).stdout
    assert output == render(lifecycle_graph(JOB), picture_format).decode()  # type: ignore[arg-type]


def test_all_are_drawn_into_a_directory_with_no_dot_on_path(tmp_path: Path) -> None:
    output = run("diagram", "all", "--format", "svg", "-o", str(tmp_path / "out"), PATH=str(tmp_path)).stdout
    written = {tmp_path / "out" / f"{lifecycle.name}.svg" for lifecycle in LIFECYCLES}
    assert {Path(line.removeprefix("wrote ")) for line in output.splitlines()} == written
    assert all("<svg" in file.read_text() for file in written)


def test_a_job_is_drawn_by_module_and_by_file(tmp_path: Path) -> None:
    run("diagram", f"{JOBS}:failing", "--format", "dot", "-o", str(tmp_path / "failing.dot"))
    assert "refuse" in (tmp_path / "failing.dot").read_text()
    assert "approve" in run("diagram", "coremachine.examples.approval:APPROVAL", "--format", "mermaid").stdout


def test_a_file_with_one_job_needs_no_name_and_one_with_several_lists_them(tmp_path: Path) -> None:
    text = "from coremachine import Job, Stage, task\n@task\ndef one() -> int: ...\n"
    text += "only = Job('only', [Stage('s', one)])\n"
    (tmp_path / "single.py").write_text(text)
    assert "only" in run("diagram", "single.py", "--format", "dot", cwd=tmp_path).stdout
    (tmp_path / "double.py").write_text(f"{text}second = Job('second', [Stage('s', one)])\n")
    assert error_of("diagram", "double.py", cwd=tmp_path).endswith("choose one of double.py:only, double.py:second")


def test_a_wrong_target_is_an_error() -> None:
    assert "expected job, stage, task, callback, all or MODULE:NAME" in error_of("diagram", "jobb")
    assert "nowhere: module not found in " in error_of("diagram", "nowhere:X")
    assert "Usage: coremachine diagram" in run("diagram", "job", "--format", "gif", code=2).stderr
