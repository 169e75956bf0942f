"""The files of this repository, as the packaging tests see them."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("diagrams", "examples", "runtime", "sql_generator", "statemachine")


def files() -> list[Path]:
    """Every file that is tracked, or would be if it were added, relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [Path(name) for name in listed.split("\0") if name]
    return sorted({path for path in paths if (ROOT / path).exists()})
