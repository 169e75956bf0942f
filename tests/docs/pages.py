"""The pages of the documentation, the blocks of code in them, and how a page is run.

A page runs in a separate folder. A ```python block that begins with `# name.py` goes into that file, any other block
into `page.py`; the blocks of one file are joined in the order of the page. A ```console block runs its `$ ` lines. At
the end `page.py` runs, under pytest if it contains tests. Each line of output that a page shows, in ```text and
```console blocks, must have been printed; times are ignored. Blocks in `sh` do not run.
"""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.forking import forks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (?P<name>[\w]+\.py)\n")
CLOCK = re.compile(r"\b\d\d:\d\d:\d\d\b")
SCRIPT = "page.py"
PROGRAMS = {
    "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio"],
    "python": [sys.executable],
}


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, and its text without the fences."""

    language: str
    text: str


def pages() -> list[Path]:
    """Every page of docs/."""
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in order, of these languages or of all."""
    found = (Block(match["language"], match["text"]) for match in FENCE.finditer(page.read_text(encoding="utf-8")))
    return [block for block in found if not languages or block.language in languages]


def run_page(page: Path, folder: Path, url: str) -> str:
    """Run the blocks of a page in `folder`, on the database of `url`, and return what they printed."""
    printed: list[str] = []
    for block in blocks(page, "python", "console"):
        if block.language == "python":
            write(block, folder)
        else:
            printed += [run(command, folder, url) for command in commands(block)]
    script = folder / SCRIPT
    if script.exists():
        program = "pytest -q" if "def test_" in script.read_text(encoding="utf-8") else "python"
        printed.append(run(f"{program} {SCRIPT}", folder, url))
    return "".join(printed)


def write(block: Block, folder: Path) -> None:
    """Put a block of Python into its file."""
    named = FILE_NAME.match(block.text)
    with (folder / (named["name"] if named else SCRIPT)).open("a", encoding="utf-8") as file:
        file.write(block.text + "\n")


def commands(block: Block) -> list[str]:
    """The commands of a console block."""
    return [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]


def run(command: str, folder: Path, url: str) -> str:
    """Run a command as a user would, and return its output; it must succeed and write nothing to standard error."""
    program, *arguments = shlex.split(command)
    environment = {**os.environ, "COREMACHINE_URL": url, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"}
    if program == "coremachine":
        done = forks().run(arguments, env=environment, cwd=folder)
    else:
        whole = [*PROGRAMS[program], *arguments]
        done = subprocess.run(whole, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout


def output_shown(page: Path) -> Iterator[str]:
    """The lines of output that a page shows. A line that is only `…` stands for omitted lines."""
    for block in blocks(page, "text", "console"):
        for line in block.text.splitlines():
            if not line.startswith("$ ") and line.strip() not in {"", "…"}:
                yield line


def missing(shown: Iterator[str], printed: str) -> list[str]:
    """The lines shown that were not printed, or not as often. Times and the order of concurrent work may differ."""
    counted = Counter(map(normal, printed.splitlines()))
    return list((Counter(map(normal, shown)) - counted).elements())


def normal(line: str) -> str:
    """A line without its times."""
    return CLOCK.sub("HH:MM:SS", line).rstrip()
