import re
from datetime import UTC, datetime
from pathlib import Path

from coremachine import Event, Lifecycle, State, Transition
from coremachine.diagrams import Timeline, TimelineEvent, render_timeline
from coremachine.sql_generator import ddl
from coremachine.statemachine import Column, EventLog, Record
from coremachine.statemachine.records import Schema
from coremachine.statemachine.tables import SCHEMA
from tests.docs.pages import README, Block, blocks, run, write

SYMBOLS = {kind.__name__: kind for kind in (Column, Event, EventLog, Lifecycle, Record, State, Transition)}
LINE = re.compile(r"(?P<clock>\S+)  (?P<mark>.) (?P<type>\w+)(?: \((?P<what>stage |task-)(?P<number>\d+)\))?")
STATUSES = {"●": "success", "▲": "warning", "✗": "failure"}


def declaration() -> Block:
    return blocks(README, "python")[0]


def first_program() -> Block:
    return blocks(README, "python")[1]


def closed_up(sql: str) -> str:
    """SQL on one line, with no blanks inside parentheses."""
    return re.sub(r"(?<=\() | (?=\))", "", " ".join(sql.split()))


def test_the_declaration_has_six_lines() -> None:
    assert len(declaration().text.splitlines()) == 6


def test_the_sql_beside_the_declaration_is_what_the_generator_prints() -> None:
    made: dict[str, object] = {}
    exec(declaration().text, dict(SYMBOLS), made)  # noqa: S102 - it is the code under test
    record = made["approvals"]
    assert isinstance(record, Record)
    printed = [closed_up(statement) for statement in ddl(Schema((*SCHEMA.records, record)))]

    (sql,) = blocks(README, "sql")
    shown = [closed_up(statement) for statement in sql.text.split(";") if statement.strip()]

    assert shown
    assert [statement for statement in shown if statement not in printed] == []


def test_the_first_program_prints_only_its_timeline_and_its_result(tmp_path: Path, url: str) -> None:
    write(first_program(), tmp_path)

    printed = run("python page.py", tmp_path, url).splitlines()

    rows = (tmp_path / "dem.txt").read_text().splitlines()
    assert printed[0].endswith(" - process_raster_v2")
    assert printed[-len(rows) - 1].startswith("Last successful: job_completed at ")
    assert {len(line) for line in printed[-len(rows) :]} == {40}


def test_the_failure_is_shown_as_a_timeline_is_printed() -> None:
    (picture,) = blocks(README, "text")
    lines = picture.text.splitlines()
    head = re.fullmatch(r"Job: (\w+) - (\w+)", lines[0])
    assert head is not None
    events = [event_of(number, line) for number, line in enumerate(lines[2:-2], start=1)]
    failure = next(event for event in events if event.status == "failure")

    timeline = Timeline(
        job_id=head[1],
        short_id=head[1],
        job_type=head[2],
        events=events,
        last_successful=[event for event in events if event.status == "success"][-1],
        first_failure=failure,
    )

    assert render_timeline(timeline, tz=UTC) == picture.text.rstrip()


def event_of(number: int, line: str) -> TimelineEvent:
    """The event that a line of a timeline shows."""
    match = LINE.match(line)
    assert match is not None, line
    number_shown = int(match["number"]) if match["number"] else None
    return TimelineEvent(
        event_id=number,
        type=match["type"],
        status=STATUSES[match["mark"]],
        at=datetime.strptime(f"2026-11-23 {match['clock']} +0000", "%Y-%m-%d %H:%M:%S %z"),
        stage=number_shown if match["what"] == "stage " else None,
        task_number=number_shown if match["what"] == "task-" else None,
    )


def test_no_command_is_shown_that_the_makefile_does_not_have() -> None:
    targets = re.findall(r"^(\w+):", README.with_name("Makefile").read_text(), re.MULTILINE)
    lines = [line for block in blocks(README, "sh") for line in block.text.splitlines()]
    shown = [line.split()[1] for line in lines if line.startswith("make ")]

    assert shown == ["demo", "test"]
    assert set(shown) <= set(targets)
