"""Each failure of the register has a test that carries its id, and runs on each bus where a bus takes part in it."""

import ast

from tests.packaging.sources import ROOT

IDS = {f"f{number:02}" for number in (*range(1, 51), 59, 60)}
OF_A_BUS = {"f01", "f02", "f03", "f04", "f05", "f07", "f12", "f13", "f27", "f28", "f32"}
"""Those in which a message is lost, comes twice or late, is too large or unreadable, or has to be sent once more."""
EVERY_BUS = "bus_under_test"
"""The fixture that runs a test on PostgreSQL and on Service Bus."""


def _tests() -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    return {
        node.name: node
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def _ids_in(names: set[str]) -> set[str]:
    return {part for name in names for part in name.split("_")}


def test_each_failure_of_the_register_has_a_test_that_is_named_after_it() -> None:
    missing = IDS - _ids_in(set(_tests()))
    assert not missing, f"no test is named after {sorted(missing)}"


def test_each_failure_in_which_a_bus_takes_part_has_a_test_on_every_bus() -> None:
    on_each = {name for name, test in _tests().items() if EVERY_BUS in {one.arg for one in test.args.args}}
    missing = OF_A_BUS - _ids_in(on_each)
    assert not missing, f"no test with {EVERY_BUS} is named after {sorted(missing)}"
