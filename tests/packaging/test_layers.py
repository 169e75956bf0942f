import subprocess
import sys
import tomllib
from pathlib import Path

from tests.packaging.sources import FOLDERS, ROOT

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def test_imports_run_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def test_the_contracts_list_no_exceptions() -> None:
    exceptions = {"ignore_imports", "exhaustive_ignores", "allow_indirect_imports"}

    assert not exceptions.intersection(key for contract in CONFIG["importlinter"]["contracts"] for key in contract)


def test_the_type_checkers_see_every_folder() -> None:
    seen = set(CONFIG["pyright"]["include"])

    assert seen == {"coremachine", "tests", *(f"coremachine/{folder}" for folder in FOLDERS)}
