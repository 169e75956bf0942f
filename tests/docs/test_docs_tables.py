"""The tables in the documentation match the code."""

import pytest

from coremachine.runtime.settings import Settings
from coremachine.statemachine.lifecycles import LIFECYCLES, NOTES
from coremachine.statemachine.register import GAPS
from tests.docs.tables import TABLES, current, events, register, settings

GIVEN = {
    "url": "postgresql://here",
    "db_auth": "entra",
    "db_schema": "other",
    "data_dir": "there",
    "bus": "servicebus",
    "pooler": "true",
    "listen": "false",
}


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
