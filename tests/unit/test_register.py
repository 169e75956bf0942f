"""The gap register: complete, enforced by what is really there, and tested."""

import re
from dataclasses import fields
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest

from coremachine.runtime.bus.messages import Kind, MessageRef, OutgoingMessage
from coremachine.runtime.bus.port import Announcement
from coremachine.sql_generator.schema import script
from coremachine.statemachine.gaps import REGISTER, Gap, GapCheck, Severity
from coremachine.statemachine.lifecycles import LIFECYCLES, NOTES
from coremachine.statemachine.register import GAPS, GapConstraint, GapQuery

TESTS = Path(__file__).parents[1]
COMMANDS = re.compile(r"`coremachine (\w+)")
BY_ID = {gap.id: gap for gap in GAPS}
QUERIES = [gap for gap in GAPS if isinstance(gap, GapQuery)]


def test_the_ids_are_counted_from_one_without_a_hole() -> None:
    assert [gap.id for gap in GAPS] == [f"GAP-{number}" for number in range(1, len(GAPS) + 1)]


def test_the_founding_gap_checks_come_first() -> None:
    assert GAPS[: len(REGISTER)] == REGISTER


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.id)
def test_an_entry_is_complete(gap: Gap) -> None:
    assert all((gap.gap, gap.response, gap.remedy, gap.enforced_by))
    assert gap.severity in get_args(Severity)
    assert gap.event in {kind for one in LIFECYCLES for kind in one.event_types} | {note.type for note in NOTES}


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.id)
def test_the_place_that_enforces_an_entry_exists(gap: Gap) -> None:
    module, colon, name = gap.enforced_by.partition(":")
    if isinstance(gap, GapConstraint):
        assert not colon
        assert f"CONSTRAINT {module} " in script()
    elif isinstance(gap, GapQuery):
        assert files(module).joinpath(name).is_file()
    else:
        assert callable(getattr(import_module(module), name))


def test_every_query_of_the_audit_belongs_to_an_entry_and_says_to_which() -> None:
    folder = files("coremachine.runtime.sql.audit")
    there = {Path(str(one)).stem for one in folder.iterdir() if one.name.endswith(".sql")}
    assert there == {gap.query for gap in QUERIES} | {"missing_constraint"}
    for gap in QUERIES:
        assert folder.joinpath(f"{gap.query}.sql").read_text(encoding="utf-8").startswith(f"-- audit {gap.id}: ")


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.id)
def test_every_entry_is_named_by_a_test_that_forces_it(gap: Gap) -> None:
    named = re.compile(rf"{gap.id}\b|_{gap.id.replace('-', '_').lower()}_")
    assert any(named.search(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py"))


def test_the_remedies_name_commands_that_exist() -> None:
    from coremachine.runtime.cli.program import program

    known = {command.callback.__name__ for command in program.registered_commands if command.callback}
    known |= {group.name for group in program.registered_groups if group.name}
    assert {name for gap in GAPS for name in COMMANDS.findall(gap.remedy)} <= known | {"resume", "cancel"}


def test_only_conditions_stand_on_edges() -> None:
    carried = {gap for one in LIFECYCLES for edge in one.edges for gap in edge.transition.gap_checks}
    assert carried == {gap for gap in GAPS if isinstance(gap, GapCheck)}


def test_gap_28_a_message_carries_an_id_and_has_no_field_that_could_grow() -> None:
    assert {field.name: field.type for field in fields(Announcement)} == {"kind": Kind, "job_id": str, "queued": bool}
    ref = {"kind": Kind, "key": str, "job_id": str, "lease_number": int}
    assert {field.name: field.type for field in fields(MessageRef)} == ref
    assert {field.name: field.type for field in fields(OutgoingMessage)} == {
        "ref": MessageRef,
        "send_number": int,
        "delay": float,
    }
