"""What the declared changes and moves of a record allow, worked out apart from the SQL that enforces them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.types.json import Json

from coremachine.sql_generator.changes import columns_of
from coremachine.sql_generator.moves import assignments
from coremachine.statemachine.changes import Change
from coremachine.statemachine.lifecycle import Edge
from coremachine.statemachine.records import Record

DAY = timedelta(days=1)
Values = Mapping[str, Any]
Holds = Callable[[Any, Any, Values], bool]


def within_a_day(_old: Any, new: Any, _row: Values) -> bool:
    return new is not None and new <= datetime.now(UTC) + DAY


def once_more(old: Any, new: Any, _row: Values) -> bool:
    return new is not None and new == (old or 0) + 1


MEANING: Mapping[str, Holds] = {
    "a time, at most a day ahead": within_a_day,
    "one more": lambda old, new, _row: old is not None and new == old + 1,
    "one more, from empty to 1": once_more,
    "empty": lambda _old, new, _row: new is None,
    "0": lambda _old, new, _row: new == 0,
    "the claiming worker": lambda _old, new, _row: new is not None,
    "the same, or a full time-out ahead while the handler has not begun": lambda old, new, row: (
        new == old or (new is not None and row["timeout"] is not None and new <= datetime.now(UTC) + row["timeout"])
    ),
    "one of cancel, fail_fast, deadline": lambda _old, new, _row: new in {"cancel", "fail_fast", "deadline"},
    "the same in words": lambda _old, _new, _row: True,
    "the time of the first request": lambda old, new, _row: (
        new == old if old is not None else new is not None and new <= datetime.now(UTC)
    ),
}
"""What the texts of the declared differences mean, apart from the SQL that enforces them."""

WHEN: Mapping[str, Callable[[Values], bool]] = {
    "": lambda _row: True,
    "NOT OLD.due_at IS NULL": lambda row: row["due_at"] is not None,
    "NOT OLD.lease_owner IS NULL": lambda row: row["lease_owner"] is not None,
    "NOT OLD.due_at IS NULL AND OLD.lease_owner IS NULL": lambda row: (
        row["due_at"] is not None and row["lease_owner"] is None
    ),
}


def allowed(record: Record, row: Values, new: Values) -> bool:
    """Whether some declared change leads from this row to that one, or nothing has changed."""
    columns = columns_of(record)
    differs = [column for column in columns if new[column] != row[column]]
    return not differs or any(_leads_to(change, columns, row, new) for change in record.all_changes)


def _leads_to(change: Change, columns: Sequence[str], row: Values, new: Values) -> bool:
    kept = all(new[column] == row[column] for column in columns if column not in change.columns)
    applies = row["status"] in change.states and WHEN[change.when](row)
    return (
        kept and applies and all(MEANING[one.text](row[name], new[name], row) for name, one in change.columns.items())
    )


def other_values(record: Record, column: str, old: Any) -> Iterator[Any]:
    """Values that somebody might want to put there."""
    kind = record.column(column).type
    now, number = datetime.now(UTC), old if isinstance(old, int) else 0
    values: Mapping[str, Sequence[Any]] = {
        "INT": (number + 1, number + 7, 0, None),
        "TIMESTAMPTZ": (now + 3 * DAY, now - 400 * DAY, now, None),
        "JSON": (Json({"forged": True}), None),
        "JSONB": (Json({"forged": True}), None),
        "INTERVAL": (timedelta(days=3), None),
    }
    text: Sequence[Any] = ("an intruder", "cancel", None)
    yield from values.get(kind, text)


def plain(row: Values, columns: Sequence[str]) -> dict[str, Any]:
    """Values of columns as parameters."""
    return {column: Json(row[column]) if isinstance(row[column], dict | list) else row[column] for column in columns}


SAMPLES: Mapping[str, Callable[[Any, Values], Sequence[Any]]] = {
    "a time, at most a day ahead": lambda _old, _row: (
        datetime.now(UTC) + DAY / 2,
        datetime.now(UTC) - 400 * DAY,
    ),
    "one more": lambda old, _row: (old + 1,),
    "one more, from empty to 1": lambda old, _row: ((old or 0) + 1,),
    "empty": lambda _old, _row: (None,),
    "0": lambda _old, _row: (0,),
    "the claiming worker": lambda _old, _row: ("a worker",),
    "the same, or a full time-out ahead while the handler has not begun": lambda old, row: (
        (old,) if row["timeout"] is None else (old, datetime.now(UTC) + row["timeout"] / 2)
    ),
    "one of cancel, fail_fast, deadline": lambda _old, _row: ("cancel", "fail_fast", "deadline"),
    "the same in words": lambda _old, _row: ("somebody asked", None),
    "the time of the first request": lambda old, _row: (old or datetime.now(UTC) - timedelta(seconds=1),),
}
"""Values that the declared differences allow, the usual one first."""


def made(change: Change, row: Values) -> dict[str, Any]:
    """The columns that this change changes, as it would leave them."""
    return {name: SAMPLES[one.text](row[name], row)[0] for name, one in change.columns.items()}


def ways(change: Change, row: Values) -> Iterator[dict[str, Any]]:
    """The same in every way that the declaration allows, one column at a time."""
    usual = made(change, row)
    yield usual
    for name, one in change.columns.items():
        for other in SAMPLES[one.text](row[name], row)[1:]:
            yield {**usual, name: other}


def exact_after(record: Record, edge: Edge, row: Values) -> dict[str, Any]:
    """What each column must hold after this move of a row, but for those whose values come with the move."""
    assigned = assignments(record, edge.transition, "given", "given.{}")
    after: dict[str, Any] = {}
    for column in columns_of(record):
        value = assigned.get(column, f"r.{column}")
        if value == "NULL":
            after[column] = None
        elif value.startswith("r."):
            base, _, added = value.removeprefix("r.").partition(" + ")
            if not added.startswith("given"):
                after[column] = row[base] + int(added) if added else row[base]
        elif "given" not in value:
            after[column] = int(value)
    return after
