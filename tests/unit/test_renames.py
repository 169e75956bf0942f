"""What was renamed stays renamed: no module, class, function or attribute has an old name any more."""

import ast
from collections.abc import Iterator
from pathlib import Path

import coremachine

LIBRARY = Path(coremachine.__file__).resolve().parents[1]
FOLDERS = ("coremachine", "diagrams", "examples", "runtime", "sql_generator", "statemachine")
RENAMED = dict(
    line.split(maxsplit=1)
    for line in (Path(__file__).parents[1] / "renames.txt").read_text(encoding="utf-8").splitlines()
)


def names_defined(tree: ast.AST) -> Iterator[str]:
    """The names of the classes, functions and attributes that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_no_old_name_is_defined_any_more() -> None:
    found: list[str] = []
    for folder in FOLDERS:
        for path in (LIBRARY / folder).rglob("*.py"):
            if path.is_symlink() or "__pycache__" in path.parts:
                continue
            names = {path.stem, *names_defined(ast.parse(path.read_text(encoding="utf-8")))}
            found += [f"{path.relative_to(LIBRARY)}: {old} is {RENAMED[old]}" for old in names & RENAMED.keys()]
    assert not found


def test_an_old_name_would_be_found() -> None:
    planted = ast.parse("class Hands:\n    beginners: int\n\n    def tend(self) -> None:\n        self.freed = 1\n")
    assert set(names_defined(planted)) & RENAMED.keys() == {"Hands", "beginners", "tend", "freed"}


def test_no_class_name_stands_for_two_classes() -> None:
    places: dict[str, list[str]] = {}
    for folder in FOLDERS:
        for path in (LIBRARY / folder).rglob("*.py"):
            if not path.is_symlink() and "__pycache__" not in path.parts:
                for node in ast.parse(path.read_text(encoding="utf-8")).body:
                    if isinstance(node, ast.ClassDef):
                        places.setdefault(node.name, []).append(str(path.relative_to(LIBRARY)))
    assert {name: paths for name, paths in places.items() if len(set(paths)) > 1} == {}
