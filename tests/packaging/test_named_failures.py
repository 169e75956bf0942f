import ast

from tests.packaging.sources import ROOT

IDS = {f"f{number:02}" for number in range(1, 48)}


def test_each_failure_of_the_register_has_a_test_that_is_named_after_it() -> None:
    names = [
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    named = {part for name in names for part in name.split("_")}

    assert not IDS - named, f"no test is named after {sorted(IDS - named)}"
