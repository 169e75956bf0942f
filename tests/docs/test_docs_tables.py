"""The tables in the documentation match the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import coremachine
from coremachine.runtime.settings import Settings
from coremachine.statemachine.lifecycles import LIFECYCLES, NOTES
from coremachine.statemachine.register import GAPS
from tests.docs.tables import TABLES, current, events, register, settings
from tests.docs.waits import all_waits

GIVEN = {
    "url": "postgresql://here",
    "db_auth": "entra",
    "db_schema": "other",
    "data_dir": "there",
    "bus": "servicebus",
    "pooler": "True",
    "listen": "False",
}
RUNTIME = Path(coremachine.__file__).parents[1] / "runtime"
LIMITED = {"timeout", "wait_for", "call", "with_lock_timeout"}
"""Calls whose arguments hold a time limit."""

MEASURING = {"bench", "soak"}
NOT_LISTED = {"UNRESCUED_S"}
"""The age of a lease at which a page warns; nothing waits for it."""


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_current(name: str) -> None:
    page, make = TABLES[name]
    written = page.read_text(encoding="utf-8")

    assert make() in written, "run: python -m tests.docs.tables"
    assert written == current(name)


def test_the_register_lists_every_gap_check() -> None:
    assert [row.split()[1] for row in register().splitlines()[2:]] == [gap.id for gap in GAPS]


def test_the_events_are_those_of_the_declaration() -> None:
    declared = {kind for lifecycle in LIFECYCLES for kind in lifecycle.event_types} | {note.type for note in NOTES}

    assert {row.split()[1].strip("`") for row in events().splitlines()[2:]} == declared


def test_the_settings_are_those_that_a_process_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in settings().splitlines()[2:]]
    assert [field for field, *_ in rows] == list(Settings.model_fields)
    for field, variable, default, _ in rows:
        given = GIVEN.get(field, "7")
        monkeypatch.setenv(variable, given)
        assert str(getattr(Settings(), field)) in {given, f"{given}.0"}
        monkeypatch.delenv(variable)
        assert str(getattr(Settings(), field)).lower() == default


def test_the_waits_are_all_that_the_code_limits_by_a_constant() -> None:
    listed = {source.partition(":")[2] for wait in all_waits() for source in wait.sources}
    files = [path for path in RUNTIME.rglob("*.py") if path.relative_to(RUNTIME).parts[0] not in MEASURING]
    limits = {name for path in files for name in limits_in(ast.parse(path.read_text(encoding="utf-8")))}
    assert limits - listed == NOT_LISTED


def limits_in(tree: ast.AST) -> Iterator[str]:
    """The constants in the time limits of calls: `asyncio.timeout(X)`, `wait_for(…, X)`, `call(X, …)`, `timeout=X`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = [keyword.value for keyword in node.keywords if keyword.arg in {"timeout", "seconds"}]
            if getattr(node.func, "attr", None) in LIMITED:
                given += node.args
            yield from (
                name.id for one in given for name in ast.walk(one) if isinstance(name, ast.Name) and name.id.isupper()
            )
