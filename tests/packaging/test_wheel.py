import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.packaging.sources import FOLDERS, ROOT, files

NEIGHBOURS = ["python-statemachine", "diagrams"]
IMPORTS = """
import coremachine, coremachine.statemachine, coremachine.diagrams, coremachine.sql_generator, coremachine.runtime
from diagrams import Diagram
from statemachine import StateMachine
"""

VERSION = """
import importlib.metadata, coremachine
print(coremachine.__version__, coremachine.__file__, importlib.metadata.distribution("coremachine").locate_file(""))
"""

SHARED_FILES = """
import collections, importlib.metadata
owners = collections.Counter(str(f) for d in importlib.metadata.distributions() for f in d.files or ())
print(*[name for name, count in owners.items() if count > 1 and name.endswith(".py")])
"""


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    env = os.environ | variables
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as for a release (from the source distribution), without a network and from a copy."""
    copy = tmp_path_factory.mktemp("source")
    for path in files():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path, follow_symlinks=False)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", copy / "dist", copy, cwd=copy)
    return next((copy / "dist").glob("*.whl"))


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not PurePosixPath(name).parts[0].endswith(".dist-info")}


def test_the_wheel_holds_every_file_of_the_folders_and_nothing_else(wheel: Path) -> None:
    expected = {
        path.as_posix() if path.parts[0] == "coremachine" else f"coremachine/{path.as_posix()}"
        for path in files()
        if path.parts[0] in {"coremachine", *FOLDERS} and not (ROOT / path).is_symlink()
    }
    held = contents(wheel)
    missing, foreign = sorted(expected - held), sorted(held - expected)

    assert not missing, f"add to [tool.setuptools] packages or package-data: {missing}"
    assert not foreign, f"in the wheel, but not in the repository: {foreign}"


def test_coremachine_is_the_only_name_at_the_top_of_the_wheel(wheel: Path) -> None:
    assert {PurePosixPath(name).parts[0] for name in contents(wheel)} == {"coremachine"}


def test_the_version_is_that_of_pyproject_when_imported_from_the_wheel(wheel: Path) -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    version, *places = run(sys.executable, "-c", VERSION, cwd=wheel.parent, PYTHONPATH=str(wheel)).split()

    assert version == wanted
    assert all(Path(place).is_relative_to(wheel) for place in places)


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment; skips where no package index answers."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True, symlinks=True)
    ask = [str(folder / "bin/python"), "-m", "pip", "download", "--quiet", "--retries", "0", "--no-deps", *NEIGHBOURS]
    asked = subprocess.run(ask, cwd=folder, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        pytest.skip(f"no package index answers: {asked.stderr.strip().splitlines()[-1]}")
    return folder


@pytest.fixture(scope="module")
def neighbourhood(empty_environment: Path, wheel: Path) -> Path:
    """The environment with the wheel and both neighbours in it, installed by one command."""
    python = empty_environment / "bin/python"
    run(python, "-m", "pip", "install", "--quiet", *NEIGHBOURS, wheel, cwd=empty_environment)
    return empty_environment


@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_wheel_imports_beside_python_statemachine_and_diagrams(neighbourhood: Path) -> None:
    run(neighbourhood / "bin/python", "-I", "-c", IMPORTS, cwd=neighbourhood)
    run(neighbourhood / "bin/coremachine", "--help", cwd=neighbourhood)


@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_wheel_overwrites_no_file_of_another_distribution(neighbourhood: Path) -> None:
    assert run(neighbourhood / "bin/python", "-I", "-c", SHARED_FILES, cwd=neighbourhood).split() == []
