"""Mutants of the guards of changes: of each move's rule and of each declared change, one thing less."""

from collections.abc import Iterator
from itertools import pairwise

from sqlglot import exp

from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import SCHEMA
from tests.mutants.conditions import Left, Place, taken_out

RECORDS = {record.machine: record for record in SCHEMA.records}
MOVED = "_5_moved"
"""The end of the name of a trigger that has the rules of moves in its condition."""
UNDECLARED = "refuse_undeclared_"
"""The begin of the name of a function that has the rules of changes."""


def of_guard(machine: str, condition: str) -> Iterator[Left]:
    """Every condition that is this one with one thing less, named with the event or the change that it is about."""
    return taken_out(condition, _place(RECORDS[machine]))


def _place(record: Record) -> Place:
    names = list(_names(record))

    def place(node: exp.Expr) -> str:
        above = list(_above(node))
        for one in above:
            if isinstance(one, exp.If):
                return f" in {', '.join(literal.this for literal in one.this.find_all(exp.Literal))}"
        for one, parent in pairwise(above):
            if isinstance(parent, exp.Is) and isinstance(one, exp.Paren):
                return f" in {_shape(one, above, names)}"
        return ""

    return place


def _shape(whole: exp.Expr, above: list[exp.Expr], names: list[str]) -> str:
    """The change whose shape holds a node. `above` is the node and all that it stands in."""
    shapes = list(whole.unnest().flatten(unnest=False)) if isinstance(whole.unnest(), exp.Or) else [whole]
    inside = [name for shape, name in zip(shapes, names, strict=True) if any(one is shape for one in above)]
    return inside[0] if inside else "all"


def _above(node: exp.Expr) -> Iterator[exp.Expr]:
    here: exp.Expr | None = node
    while here is not None:
        yield here
        here = here.parent


def _names(record: Record) -> Iterator[str]:
    """The changes of a record; those that look the same in the database have one name."""
    alike: dict[object, list[str]] = {}
    for change in record.all_changes:
        rules = tuple((column, one.rule) for column, one in sorted(change.columns.items()))
        alike.setdefault((change.states, change.when, rules), []).append(change.name)
    yield from ("/".join(names) for names in alike.values())
