"""The names that users import, face by face, in a file that a person reads when one is added or taken away.

Set COREMACHINE_UPDATE_GOLDEN=1 to write the file again, and read what git says has changed.
"""

import ast
import importlib
from pathlib import Path

import pytest

from tests.golden.test_sql_golden import reviewed
from tests.packaging.sources import FOLDERS, ROOT, files

MOST = 12


def faces() -> list[str]:
    """Every module of the library that declares `__all__`, by its import name."""
    modules = [path for path in files() if path.parts[0] in {"coremachine", *FOLDERS} and path.suffix == ".py"]
    return sorted(_import_name(path) for path in modules if _declares_all(path))


def _declares_all(path: Path) -> bool:
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    named = [at for node in body if isinstance(node, ast.Assign) for at in node.targets if isinstance(at, ast.Name)]
    return any(name.id == "__all__" for name in named)


def _import_name(path: Path) -> str:
    parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
    return ".".join(parts if parts[0] == "coremachine" else ("coremachine", *parts))


def names_of(face: str) -> list[str]:
    names: list[str] = importlib.import_module(face).__all__
    return names


def test_the_public_names_are_those_that_were_reviewed() -> None:
    made = "\n".join("\n    ".join([face, *names_of(face)]) + "\n" for face in faces())
    assert made == reviewed("public_names.txt", made)


@pytest.mark.parametrize("face", faces())
def test_a_face_has_at_most_a_dozen_names_in_order_and_each_exists(face: str) -> None:
    module, names = importlib.import_module(face), names_of(face)

    assert len(names) <= MOST
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(module, name)] == []
