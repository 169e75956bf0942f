"""tests/README.md leads from each folder, flow file, queue statement and guard to tests that exist."""

import re

import pytest

from coremachine.examples.approval import APPROVALS
from coremachine.sql_generator.queues import queue_statements
from coremachine.sql_generator.schema import guard_names
from coremachine.statemachine.records import Schema
from coremachine.statemachine.tables import QUEUES, SCHEMA
from tests.docs.pages import ROOT

TESTS = ROOT / "tests"
PAGE = (TESTS / "README.md").read_text(encoding="utf-8")
LINKS = re.compile(r"\]\(([^)]+)\)")
NAMES = re.compile(r"`([^`]+)`")
IGNORED = {"__pycache__"}


def rows(heading: str) -> dict[str, list[str]]:
    """What the table below a heading names in its first column, each with the links of its row."""
    section = PAGE.split(f"## {heading}\n", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
    lines = [line.split("|") for line in section.splitlines() if line.startswith("| ") and "---" not in line][1:]
    return {name: LINKS.findall(line[2]) for line in lines for name in NAMES.findall(line[1])}


@pytest.mark.parametrize("link", sorted(set(LINKS.findall(PAGE))))
def test_what_the_page_links_to_exists(link: str) -> None:
    assert (TESTS / link).exists()


def test_every_folder_is_on_the_page() -> None:
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()} - IGNORED
    assert folders <= set(LINKS.findall(PAGE))


def test_every_file_of_the_flow_leads_to_tests() -> None:
    files = {path.name for path in (ROOT / "runtime" / "flow").glob("*.py")} - {"__init__.py"}
    named = rows("The flow")
    assert set(named) == files
    assert all(named.values())


def test_every_statement_of_a_queue_leads_to_tests() -> None:
    named = rows("The statements of a queue")
    assert set(named) == {name for record in QUEUES.values() for name in queue_statements(record)}
    assert all(named.values())


def test_every_guard_leads_to_tests() -> None:
    guards = {name.removeprefix(f"{table}_") for table, name in guard_names(Schema((*SCHEMA.records, APPROVALS)))}
    named = rows("The guards")
    assert set(named) == guards
    assert all(named.values())
