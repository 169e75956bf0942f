"""Where the jobs come from: --app, and what can be wrong with it."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.acceptance.commands import COMMAND, JOBS, environment, error_of, run, run_json

MODULE = """
from coremachine import AsyncCoreMachine, CoreMachine, Job, Stage, task

@task
def work() -> int:
    return 7

one = Job("one", [Stage("work", work)])
two = Job("two", [Stage("work", work)])
both = [one, two]
number = 7

class inner:
    app = CoreMachine("postgresql://nobody@127.0.0.1:1/nowhere", jobs=[one])
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory with modules in it."""
    (tmp_path / "declared.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import math\nmath.floor('x')\n")
    (tmp_path / "wanting.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "wrong.py").write_text("from coremachine import Job\nJob('empty', [])\n")
    (tmp_path / "listed.py").write_text("import declared\nJOBS = [declared.one, declared.two]\n")
    (tmp_path / "only_app.py").write_text("from declared import inner\napp = inner.app\n")
    return tmp_path


@pytest.mark.parametrize(
    "app", ["declared", "declared.py", "listed.py", "declared:two", "declared:both", "./declared.py:two"]
)
def test_jobs_are_found_by_module_and_by_name(url: str, place: Path, app: str) -> None:
    assert "queued" in run("submit", "two", "--app", app, url=url, where=place).stdout


def test_the_installed_program_finds_modules_in_the_working_directory(url: str, place: Path) -> None:
    script = "from coremachine.runtime.cli import main; main()"
    command = [sys.executable, "-P", "-c", script, "submit", "two", "--app", "declared"]
    done = subprocess.run(command, env=environment(url), cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_variable_names_the_jobs_too(url: str) -> None:
    assert "queued" in run("submit", "sums", "first=1", url=url, COREMACHINE_APP=str(JOBS)).stdout


def test_an_application_brings_its_jobs_and_its_database(url: str, place: Path) -> None:
    told = error_of("submit", "one", "--app", "declared:inner.app", url=url, where=place)
    assert told.startswith("no connection to 127.0.0.1:1/nowhere: ")
    assert "job type two is not declared here" in error_of("submit", "two", "--app", "only_app", url=url, where=place)


def test_a_url_of_another_kind_is_told() -> None:
    told = "mysql://…: this is no postgresql:// URL, and CoreMachine runs on PostgreSQL alone"
    assert error_of("jobs", "--url", "mysql://u:secret@h/x") == told


def test_a_misspelt_variable_is_one_warning(url: str) -> None:
    done = run("jobs", url=url, COREMACHINE_CONCURENCY="3")
    told = "warning: COREMACHINE_CONCURENCY is no setting of CoreMachine; COREMACHINE_CONCURRENCY is\n"
    assert (done.stdout, done.stderr) == ("no jobs\n", told)


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"coremachine {version('coremachine')}\n"


def test_an_empty_id_is_told() -> None:
    assert error_of("timeline", "").startswith("JOB: an id is wanted")


def test_an_option_goes_before_what_an_application_says(url: str, place: Path) -> None:
    assert run_json("jobs", "--json", "--url", url, "--app", str(place / "only_app.py"), url=url) == []


@pytest.mark.parametrize(
    ("app", "told"),
    [
        ("nowhere", "nowhere: there is no such module"),
        ("nowhere.deep", "nowhere.deep: there is no such module"),
        ("./nowhere.py", "nowhere.py: there is no such file"),
        ("broken", "broken: it cannot be imported: TypeError: must be real number, not str"),
        ("broken", "broken.py, line 2)"),
        ("wanting", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("wrong", "cannot be imported: DefinitionError: job empty has no stages"),
        ("declared:three", "declared:three: declared has no three"),
        ("declared:number", "a int is neither a Job, nor a list of Jobs, nor a CoreMachine"),
        ("json", "json: no Job there"),
    ],
)
def test_what_names_no_jobs_is_told_in_one_line(place: Path, app: str, told: str) -> None:
    assert told in error_of("submit", "one", "--app", app, where=place)


def test_without_jobs_the_command_says_how_to_name_them() -> None:
    told = "no jobs are known here: name them with --app MODULE[:NAME], or set COREMACHINE_APP"
    assert error_of("submit", "one") == told
    assert error_of("worker") == told


def test_a_traceback_is_shown_on_demand(place: Path) -> None:
    asked = [*COMMAND, "--debug", "submit", "one", "--app", "broken"]
    done = subprocess.run(asked, env=environment(None), cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == f"error: {error_of('submit', 'one', '--app', 'broken', where=place)}"
