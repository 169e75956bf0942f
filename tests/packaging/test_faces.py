"""What the documentation imports are public names, and the face of the package loads no more than it needs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import README, blocks, pages
from tests.golden.test_public_names import faces, names_of
from tests.packaging.sources import ROOT

SHOWN = [README, *pages(), *sorted((ROOT / "examples").glob("*.py"))]
LOADED = """
import sys, coremachine
print(*[name for name in ("psycopg", "pydantic_settings", "graphviz", "typer") if name in sys.modules])
"""


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """The names that a page or an example imports from the library, with their modules; other examples left out."""
    texts = [path.read_text()] if path.suffix == ".py" else [block.text for block in blocks(path, "python")]
    for node in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "coremachine":
            module = str(node.module)
            yield from ((module, alias.name) for alias in node.names if not module.startswith("coremachine.examples"))


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_shown_imports_public_names_only(path: Path) -> None:
    public = {(face, name) for face in faces() for name in names_of(face)} | {("coremachine", "__version__")}

    assert sorted(set(imports(path)) - public) == []


@pytest.mark.parametrize("name", ["Settings", "Records", "CoreMachine", "AsyncCoreMachine"])
def test_a_name_that_is_loaded_late_is_the_one_of_its_module(name: str) -> None:
    code = f"import coremachine; print(coremachine.{name}.__module__)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert printed.startswith("coremachine.runtime.")


def test_the_face_loads_no_database_driver_and_no_settings() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout.split() == []
