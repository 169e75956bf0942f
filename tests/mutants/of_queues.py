"""Mutants of the statements of queues: each condition, lock, order, value and answer of one, less."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlglot import exp

from coremachine.sql_generator.queues import queue_statements
from coremachine.sql_generator.text import parse, render
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import SCHEMA
from tests.mutants.conditions import choices
from tests.mutants.of_moves import Change, changes_of

PICKS = ("claim", "due", "lease_for_send", "to_send")
"""Statements that find rows by their types; the others are given keys, or an owner."""


class QueueStatement(NamedTuple):
    """A statement of a record's queue."""

    kind: str
    record: Record
    sql: str

    @property
    def name(self) -> str:
        """What it is called here."""
        return f"queue {self.record.machine}.{self.kind}"


class BrokenQueue(NamedTuple):
    """A statement with one thing less. `lock` tells that only somebody who waits can notice."""

    name: str
    statement: QueueStatement
    lock: bool


def queues() -> Iterator[QueueStatement]:
    """Every statement of every queue."""
    for record in SCHEMA.records:
        if record.queue is not None:
            for kind, sql in queue_statements(record).items():
                yield QueueStatement(kind, record, sql)


def broken_queue(statement: QueueStatement) -> Iterator[BrokenQueue]:
    """Every mutant of a statement. A condition that stands twice, for a row and for its lock, is one condition."""
    tree = parse(statement.sql)
    seen = set[str]()
    for at, node in enumerate(tree.walk()):
        for out, lock, change in (*changes_of(node), *_values(node, at), *_answers(node, at)):
            if out not in seen:
                seen.add(out)
                yield BrokenQueue(f"{statement.name} without {out}", _changed(statement, tree, change), lock)


def _changed(statement: QueueStatement, tree: exp.Expr, change: Change) -> QueueStatement:
    copy = tree.copy()
    for node in list(copy.walk()):
        change(node)
    return statement._replace(sql=render(copy))


def _values(node: exp.Expr, at: int) -> Iterator[tuple[str, bool, Change]]:
    """Of what columns are set to, and of how rows are ordered, one part less."""
    if isinstance(node, exp.Sub):
        yield f"{_short(node.expression)} subtracted in {_set_in(node)}", False, _at(at, _keep_this)
    if isinstance(node, exp.Add | exp.Least | exp.Greatest | exp.Coalesce | exp.Case | exp.Or):
        for out, mutate in choices(node):
            yield f"{out} in {_set_in(node)}", False, _at(at, mutate)
    if isinstance(node, exp.Order) and len(node.expressions) > 1:
        for place, one in enumerate(node.expressions):
            yield f"ordered by {_short(one)}", False, _at(at, _without(place))


def _answers(node: exp.Expr, at: int) -> Iterator[tuple[str, bool, Change]]:
    """An answer without one of its columns."""
    outermost = isinstance(node, exp.Returning) or (isinstance(node, exp.Select) and node.parent is None)
    for place, one in enumerate(node.expressions if outermost else ()):
        yield f"{one.alias_or_name} in its answer", False, _at(at, _null(place))


def _at(at: int, mutate: Callable[[exp.Expr], None]) -> Change:
    """A change of the node that is the `at`-th of the statement, once."""
    root: list[exp.Expr] = []

    def change(node: exp.Expr) -> None:
        if not root:
            root.append(node)
            mutate(list(node.walk())[at])

    return change


def _keep_this(node: exp.Expr) -> None:
    node.replace(node.this.copy())


def _without(place: int) -> Callable[[exp.Expr], None]:
    def mutate(node: exp.Expr) -> None:
        node.set("expressions", [one for at, one in enumerate(node.expressions) if at != place])

    return mutate


def _null(place: int) -> Callable[[exp.Expr], None]:
    def mutate(node: exp.Expr) -> None:
        one = node.expressions[place]
        one.replace(exp.alias_(exp.null(), one.alias_or_name))

    return mutate


def _set_in(node: exp.Expr) -> str:
    """What a part of a value belongs to: the column that is set, the answer, or a condition."""
    here: exp.Expr | None = node
    while here is not None:
        if isinstance(here.parent, exp.Update) and here in here.parent.expressions:
            return f"SET {here.this.name}"
        if isinstance(here, exp.Alias):
            return here.alias
        if isinstance(here.parent, exp.And | exp.Or | exp.Where):
            return _short(here)
        here = here.parent
    return "the statement"


def _short(node: exp.Expr) -> str:
    return " ".join(render(node, pretty=False).split())[:90]
