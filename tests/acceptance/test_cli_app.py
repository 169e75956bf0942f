"""Where the jobs come from: --app, and its errors."""

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
    assert "queued" in run("submit", "two", "--app", app, url=url, cwd=place).stdout


def test_the_installed_program_finds_modules_in_the_working_directory(url: str, place: Path) -> None:
    script = "from coremachine.runtime.cli import main; main()"
    command = [sys.executable, "-P", "-c", script, "submit", "two", "--app", "declared"]
    done = subprocess.run(command, env=environment(url), cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_variable_names_the_jobs_too(url: str) -> None:
    assert "queued" in run("submit", "sums", "first=1", url=url, COREMACHINE_APP=str(JOBS)).stdout


def test_an_application_brings_its_jobs_and_its_database(url: str, place: Path) -> None:
    message = error_of("submit", "one", "--app", "declared:inner.app", url=url, cwd=place)
    assert message.startswith("no connection to 127.0.0.1:1/nowhere: ")
    assert "job type two is not declared here" in error_of("submit", "two", "--app", "only_app", url=url, cwd=place)


def test_a_url_of_another_database_is_refused() -> None:
    message = "mysql://…: not a postgresql:// URL; CoreMachine runs on PostgreSQL only"
    assert error_of("jobs", "--url", "mysql://u:secret@h/x") == message


def test_a_misspelled_variable_is_one_warning(url: str) -> None:
    done = run("jobs", url=url, COREMACHINE_CONCURENCY="3")
    message = "warning: COREMACHINE_CONCURENCY is not a setting of CoreMachine; did you mean COREMACHINE_CONCURRENCY?\n"
    assert (done.stdout, done.stderr) == ("no jobs\n", message)


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"coremachine {version('coremachine')}\n"


def test_an_empty_id_is_refused() -> None:
    assert error_of("timeline", "").startswith("JOB: the id is empty")


def test_an_option_overrides_the_settings_of_an_application(url: str, place: Path) -> None:
    assert run_json("jobs", "--json", "--url", url, "--app", str(place / "only_app.py"), url=url) == []


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("nowhere", "nowhere: module not found in "),
        ("nowhere.deep", "nowhere.deep: module not found in "),
        ("./nowhere.py", "nowhere.py: file not found"),
        ("broken", "broken: cannot be imported: TypeError: must be real number, not str"),
        ("broken", "broken.py, line 2)"),
        ("wanting", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("wrong", "cannot be imported: DefinitionError: job empty has no stages"),
        ("declared:three", "declared:three: declared has no three"),
        ("declared:number", "expected a Job, a list of Jobs or a CoreMachine, found an object of type int"),
        ("json", "json: no Job found"),
    ],
)
def test_a_reference_without_jobs_is_an_error_in_one_line(place: Path, app: str, message: str) -> None:
    assert message in error_of("submit", "one", "--app", app, cwd=place)


def test_without_jobs_the_command_says_how_to_name_them() -> None:
    message = "no jobs are declared: give --app MODULE[:NAME], or set COREMACHINE_APP"
    assert error_of("submit", "one") == message
    assert error_of("worker") == message


def test_a_traceback_is_shown_on_demand(place: Path) -> None:
    asked = [*COMMAND, "--debug", "submit", "one", "--app", "broken"]
    done = subprocess.run(asked, env=environment(None), cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == f"error: {error_of('submit', 'one', '--app', 'broken', cwd=place)}"
