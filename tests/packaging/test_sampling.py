import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.sources import ROOT

CASES = """
import pytest

@pytest.mark.parametrize("number", range(10))
def test_many(number): ...

@pytest.mark.parametrize("number", range(2))
def test_two(number): ...

def test_one(): ...
"""


def sample(folder: Path, *options: str) -> set[str]:
    """The tests that run, of those in CASES."""
    (folder / "test_it.py").write_text(CASES)
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-v", "-p", "tests.sampling", "--rootdir", ".", *options, "test_it.py"]
    run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return set(re.findall(r"::(\S+) PASSED", run.stdout))


@pytest.mark.parametrize("order", [("-p", "no:randomly"), ("--randomly-seed=1",)], ids=["written", "random"])
def test_a_sample_is_every_nth_case_of_each_test_and_at_least_one_in_any_order(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    chosen = {"test_many[0]", "test_many[4]", "test_many[8]", "test_two[0]", "test_one"}
    assert sample(tmp_path, "--sample", "4", *order) == chosen


def test_without_the_option_every_case_runs(tmp_path: Path) -> None:
    assert len(sample(tmp_path)) == 13


def test_every_test_that_ci_repeats_exists() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (names,) = re.findall(r"for name in (.*?); do", script, re.DOTALL)
    named = [f"tests/integration/test_{name}.py" for name in names.replace("\\", " ").split()]
    named += re.findall(r"tests/[\w/]+(?:\.py)?(?=[\s\"])", script)

    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []
