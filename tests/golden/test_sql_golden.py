"""The SQL made from the declaration, word by word, in files that a person reads when they change.

Set COREMACHINE_UPDATE_GOLDEN=1 to write the files again, and read what git reports as changed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coremachine.sql_generator.moves import move_statement
from coremachine.sql_generator.queues import queue_statements
from coremachine.sql_generator.replay import replay_statements
from coremachine.sql_generator.schema import script
from coremachine.sql_generator.sweeps import sweep_statement
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import JOB_EVENTS, SCHEMA

HERE = Path(__file__).parent
UPDATE = os.environ.get("COREMACHINE_UPDATE_GOLDEN", "") not in {"", "0"}

SWEEPS = {
    "stage": [
        ("skip", "pending", "job_id"),
        ("resume", "failed", "job_id"),
        ("resume", "cancelled", "job_id"),
    ],
    "task": [
        ("cancel", "queued", "stage_id"),
        ("resume", "failed", "stage_id"),
        ("resume", "cancelled", "stage_id"),
    ],
}


def statements_of(record: Record) -> Iterator[tuple[str, str]]:
    """Every statement that is made for a record, each with its title."""
    for transition in record.lifecycle.transitions:
        yield f"move: {transition.trigger}", move_statement(record, transition.trigger).sql
    if record.queue is not None:
        for name, statement in queue_statements(record).items():
            yield f"queue: {name.replace('_', ' ')}", statement
    for trigger, source, column in SWEEPS.get(record.machine, []):
        yield f"sweep: {trigger} from {source} by {column}", sweep_statement(record, trigger, source, column)


def reviewed(name: str, made: str) -> str:
    """The content of the file, which is written again first if that was requested."""
    path = HERE / name
    if UPDATE:
        path.write_text(made, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_the_script_is_the_one_that_was_reviewed() -> None:
    made = script()
    assert made == reviewed("schema.sql", made)


@pytest.mark.parametrize("record", SCHEMA.records, ids=lambda record: record.table)
def test_the_statements_are_those_that_were_reviewed(record: Record) -> None:
    made = "\n".join(f"-- {title}\n{sql};\n" for title, sql in statements_of(record))
    assert made == reviewed(f"{record.table}.sql", made)


def test_the_replay_is_the_one_that_was_reviewed() -> None:
    (replay,) = replay_statements(SCHEMA.records)
    made = f"-- audit GAP-11: replay of {JOB_EVENTS}\n{replay};\n"
    assert made == reviewed("replay.sql", made)


def test_no_file_is_left_over() -> None:
    wanted = {"replay.sql", "schema.sql", *(f"{record.table}.sql" for record in SCHEMA.records)}
    assert {path.name for path in HERE.glob("*.sql")} == wanted
