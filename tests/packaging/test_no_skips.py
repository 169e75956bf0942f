import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = "import pytest\n\ndef test_bare():\n    pytest.skip('no browser')\n"
SKIPPED_MODULE = "import pytest\n\npytest.skip('no browser', allow_module_level=True)\n"
EXPECTED_FAILURE = "import pytest\n\n@pytest.mark.xfail\ndef test_known():\n    assert False\n"


def run_in_ci(folder: Path, text: str, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    env = os.environ | {"CI": ci, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "tests.no_skips", "--rootdir", ".", "test_it.py"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("text", [SKIPPED, SKIPPED_MODULE])
def test_a_skip_fails_in_ci_and_says_why(tmp_path: Path, text: str) -> None:
    run = run_in_ci(tmp_path, text, ci="true")

    assert run.returncode != 0
    assert "did not run" in run.stdout
    assert "no browser" in run.stdout


def test_a_skip_elsewhere_is_named_and_passes(tmp_path: Path) -> None:
    run = run_in_ci(tmp_path, SKIPPED, ci="")

    assert run.returncode == 0
    assert "no browser" in run.stdout


def test_an_expected_failure_is_not_a_skip(tmp_path: Path) -> None:
    assert run_in_ci(tmp_path, EXPECTED_FAILURE, ci="true").returncode == 0


def test_this_suite_has_the_rule(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin("tests.no_skips")
