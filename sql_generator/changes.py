"""The rules of declared changes, as the condition of a trigger: how each column of a row may differ after an UPDATE.

With a move, each column is as the declaration of that move leaves it; the move's event identifies it. Without one, the
whole difference is that of one declared change (`statemachine.changes`). An application's record may leave further
columns free.
"""

from collections.abc import Iterator

from ..statemachine.changes import Change
from ..statemachine.lifecycle import Transition
from ..statemachine.records import MOVE_COLUMNS, Record
from .moves import assignments
from .text import one_of

FREE = "TRUE"
GIVEN = "given"
"""A placeholder for any value in the input of a move, in the assignments that are read here."""


def undeclared_move(record: Record) -> str:
    """The condition that a column is not as the move with the row's new event leaves it. NULL counts as refused."""
    rules: dict[str, list[str]] = {}
    for transition in record.lifecycle.transitions:
        rules.setdefault(transition.event.type, []).append(_after_move(record, transition))
    events: dict[str, list[str]] = {}
    for event_type, either in rules.items():
        events.setdefault(" OR ".join(f"({rule})" for rule in dict.fromkeys(either)), []).append(event_type)
    cases = "".join(f" WHEN {one_of('NEW.event_type', tuple(types))} THEN {rule}" for rule, types in events.items())
    return f"(CASE{cases} END IS NOT TRUE)"


def undeclared_change(record: Record, schema: str) -> str:
    """The condition that a row differs, without a move, in a way that no declared change allows."""
    columns = columns_of(record)
    immutable = tuple(column.name for column in record.columns if column.immutable)
    shapes = dict.fromkeys(_shape(record, change, columns, schema) for change in record.all_changes)
    allowed = " OR ".join(f"({shape})" for shape in shapes)
    undeclared = f"NOT {same(record, columns)}"
    if allowed:
        undeclared += f" AND (({allowed}) IS NOT TRUE)"
    return f"(NOT {same(record, immutable)} OR {undeclared})"


def columns_of(record: Record) -> tuple[str, ...]:
    """The columns that clients may change, except the state and the event."""
    of_moves = {column.name for column in MOVE_COLUMNS}
    return tuple(name for name in record.changing if name not in of_moves)


def same(record: Record, columns: tuple[str, ...]) -> str:
    """The condition that these columns keep their values. JSON is compared as text: it has no equality."""
    old, new = (", ".join(_comparable(record, row, column) for column in columns) for row in ("OLD", "NEW"))
    if len(columns) == 1:
        return f"{new} IS NOT DISTINCT FROM {old}"
    return f"ROW({new}) IS NOT DISTINCT FROM ROW({old})"


def _comparable(record: Record, row: str, column: str) -> str:
    return f"CAST({row}.{column} AS TEXT)" if record.column(column).type == "JSON" else f"{row}.{column}"


def _after_move(record: Record, transition: Transition) -> str:
    """The condition on the columns after this move, besides the table's constraints on its target state."""
    assigned = assignments(record, transition, GIVEN, f"{GIVEN}.{{}}")
    columns = columns_of(record)
    unchanged = tuple(column for column in columns if column not in assigned)
    rules = [same(record, unchanged)] if unchanged else []
    for column in columns:
        value = assigned.get(column)
        if value is None or GIVEN in value or (value == "NULL" and _empty_in(record, column, transition.target)):
            continue
        rules.append(f"NEW.{column} IS NULL" if value == "NULL" else f"NEW.{column} = {value.replace('r.', 'OLD.')}")
    return " AND ".join(rules) or FREE


def _empty_in(record: Record, column: str, state: str) -> bool:
    """Whether a constraint of the table leaves this column empty in this state."""
    return any(one.column == column and state not in {*one.required, *one.allowed} for one in record.state_columns)


def _shape(record: Record, change: Change, columns: tuple[str, ...], schema: str) -> str:
    """The condition that a row differs exactly as this change declares."""
    return " AND ".join(_parts(record, change, columns, schema))


def _parts(record: Record, change: Change, columns: tuple[str, ...], schema: str) -> Iterator[str]:
    yield one_of("OLD.status", change.states)
    if change.when:
        yield change.when
    for column, difference in change.columns.items():
        yield f"({difference.rule.format(old=f'OLD.{column}', new=f'NEW.{column}', schema=schema)})"
    others = tuple(column for column in columns if column not in change.columns)
    if others:
        yield same(record, others)
