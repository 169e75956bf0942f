import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from coremachine.diagrams.__main__ import main
from coremachine.statemachine.lifecycles import LIFECYCLES

MODULE = """
from coremachine.diagrams import JobShape, StageShape
from coremachine import Job, Stage
from coremachine.statemachine.lifecycle import Event, Lifecycle, State, Transition
from coremachine.statemachine.task import task

@task
def count(word: str) -> int:
    return len(word)

counting = Job("counting", [Stage("first", count)])

APPROVAL = Lifecycle(
    "approval",
    states=(State(name="pending", initial=True, waits_for="a person"), State(name="approved", terminal=True)),
    transitions=(Transition(trigger="approve", sources=("pending",), target="approved", event=Event("yes")),),
)

class Duck:
    def shape(self):
        return JobShape("raster", (StageShape("plan", "cut", "single"),))

class jobs:
    RASTER = Duck()

NUMBER = 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the working directory; a fresh one, for Python imports a name only once."""
    name = f"declared_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize(("picture_format", "suffix"), [("dot", "dot"), ("mermaid", "mmd"), ("svg", "svg")])
def test_all_takes_a_directory_and_makes_it(tmp_path: Path, picture_format: str, suffix: str) -> None:
    assert main(["all", "--format", picture_format, "-o", str(tmp_path / "a" / "b")]) == 0
    written = {file.name for file in (tmp_path / "a" / "b").iterdir()}
    assert written == {f"{lifecycle.name}.{suffix}" for lifecycle in LIFECYCLES}


@pytest.mark.parametrize("lifecycle", [lifecycle.name for lifecycle in LIFECYCLES])
def test_each_lifecycle_is_drawn_by_its_name(
    lifecycle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "picture.dot"
    assert main([lifecycle, "--format", "dot", "-o", str(file)]) == 0
    assert file.read_text().startswith(f"digraph {lifecycle} ")
    assert capsys.readouterr().out == f"wrote {file}\n"


def test_a_directory_as_output_takes_the_name_of_the_lifecycle(tmp_path: Path) -> None:
    assert main(["job", "--format", "dot", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "job.dot").exists()


def test_without_output_the_picture_goes_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["task", "--format", "svg"]) == 0
    assert capfdbinary.readouterr().out.rstrip().endswith(b"</svg>")


def test_a_lifecycle_of_the_users_own_is_found_in_the_working_directory(
    module: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = list(sys.path)
    assert main([f"{module}:APPROVAL", "--format", "mermaid"]) == 0
    assert "pending --> approved: approve / yes" in capfd.readouterr().out
    assert sys.path == path


def test_a_declared_job_is_drawn(module: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"{module}:counting", "--format", "mermaid"]) == 0
    assert '["1  first · count · one task"]' in capfd.readouterr().out


def test_an_object_with_a_shape_is_drawn(module: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"{module}:jobs.RASTER", "--format", "mermaid"]) == 0
    assert '["1  plan · cut · one task"]' in capfd.readouterr().out


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("jobb", "cannot draw 'jobb': expected job, stage, task, callback, all or MODULE:NAME"),
        ("no_such_module:X", "module no_such_module cannot be imported: No module named 'no_such_module'"),
        ("{module}:MISSING", "{module} has no MISSING"),
        (
            "{module}:NUMBER",
            "expected a Lifecycle, a Job or an object with a method shape(), found an object of type int",
        ),
        (
            "{module}:Duck",
            "expected a Lifecycle, a Job or an object with a method shape(), found an object of type type",
        ),
        ("{module}:", "expected job, stage, task, callback, all or MODULE:NAME"),
    ],
)
def test_what_cannot_be_drawn_is_named_on_standard_error(
    module: str,
    target: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([target.format(module=module), "--format", "dot"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message.format(module=module) in captured.err
    assert captured.out == ""


def test_all_is_not_written_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("mine")
    assert main(["all", "--format", "dot", "-o", str(tmp_path / "x")]) == 1
    assert "`all` needs a directory" in capsys.readouterr().err
    assert (tmp_path / "x").read_text() == "mine"


def test_nothing_is_written_where_a_picture_cannot_be_drawn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "dot").write_text(f"#!{sys.executable}\nimport sys; sys.exit('broken')\n")
    (tmp_path / "dot").chmod(0o755)
    assert main(["all", "-o", str(tmp_path / "out")]) == 1
    assert "broken" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
