"""Mutants of the generated statements: each condition, lock, order and count of a move, claim or sweep, one less."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlglot import exp

from coremachine.sql_generator.moves import move_statement
from coremachine.sql_generator.queues import claim_by_key_statement, claim_statement
from coremachine.sql_generator.sweeps import sweep_statement
from coremachine.sql_generator.text import parse, render
from coremachine.statemachine.lifecycle import Transition
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import SCHEMA

SWEEPS = {
    "stage": (("skip", "pending", "job_id"), ("resume", "failed", "job_id"), ("resume", "cancelled", "job_id")),
    "task": (("cancel", "queued", "stage_id"), ("resume", "failed", "stage_id"), ("resume", "cancelled", "stage_id")),
}

Change = Callable[[exp.Expr], None]
"""Changes a node of a statement, if it is the one."""


class Statement(NamedTuple):
    """A generated statement: a move, a claim, a claim by key, or a sweep from `source` by `column`."""

    kind: str
    record: Record
    transition: Transition
    sql: str
    source: str = ""
    column: str = ""

    @property
    def name(self) -> str:
        """What it is called here."""
        return f"{self.kind} {self.record.machine}.{self.transition.trigger}{self.source and ' from ' + self.source}"


class Broken(NamedTuple):
    """A statement with one thing less. `lock` tells that only somebody who waits can notice."""

    name: str
    statement: Statement
    lock: bool


def statements() -> Iterator[Statement]:
    """Every statement that is generated."""
    for record in SCHEMA.records:
        for transition in record.lifecycle.transitions:
            yield Statement("move", record, transition, move_statement(record, transition.trigger).sql)
        if record.queue is not None and record.queue.claim is not None:
            claim = next(record.lifecycle.transitions_of("claim"))
            yield Statement("claim", record, claim, claim_statement(record))
            yield Statement("claim by key", record, claim, claim_by_key_statement(record))
        for trigger, source, column in SWEEPS.get(record.machine, ()):
            transition = next(record.lifecycle.transitions_of(trigger))
            yield Statement(
                "sweep", record, transition, sweep_statement(record, trigger, source, column), source, column
            )


def broken(statement: Statement) -> Iterator[Broken]:
    """Every mutant of a statement. A condition that stands twice, for a row and for its lock, is one condition."""
    tree = parse(statement.sql)
    seen = {f"SET {column}" for column in _cleared_for_nothing(statement)}
    for node in tree.walk():
        for out, lock, change in changes_of(node):
            if out not in seen:
                seen.add(out)
                yield Broken(f"{statement.name} without {out}", _changed(statement, tree, change), lock)


def _cleared_for_nothing(statement: Statement) -> Iterator[str]:
    """Columns that the statement clears though its rows cannot hold anything in them."""
    sources = {statement.source} if statement.source else {*statement.transition.sources}
    for tie in statement.record.state_columns:
        may = {*tie.required, *tie.allowed}
        if not may & {*sources, statement.transition.target}:
            yield tie.column


def _changed(statement: Statement, tree: exp.Expr, change: Change) -> Statement:
    copy = tree.copy()
    for node in list(copy.walk()):
        change(node)
    return statement._replace(sql=render(copy))


def changes_of(node: exp.Expr) -> Iterator[tuple[str, bool, Change]]:
    """What can be taken out at a node: its name, whether only somebody who waits can notice, and the change."""
    if isinstance(node, exp.Where | exp.And):
        for operand in (node.args.get("this"), node.args.get("expression")):
            if operand is not None and not isinstance(operand, exp.And):
                yield from _of_condition(_condition_text(operand))
    if isinstance(node, exp.Join) and node.args.get("on") is not None:
        yield from _of_condition(_condition_text(node.args["on"]))
    if isinstance(node, exp.In | exp.Array):
        for member in node.expressions if len(node.expressions) > 1 else ():
            yield (
                f"{_condition_text(node)}: {_condition_text(member)}",
                False,
                _without_member(_condition_text(node), _condition_text(member)),
            )
    yield from _of_clause(node)


def _of_clause(node: exp.Expr) -> Iterator[tuple[str, bool, Change]]:
    if isinstance(node, exp.Lock):
        yield "its lock", True, _without_lock
        if node.args.get("wait") is False:
            yield "SKIP LOCKED", True, _waiting
    if isinstance(node, exp.Order):
        yield (
            "its order",
            "lease" not in _condition_text(node) and "due_at" not in _condition_text(node),
            _drop(exp.Order),
        )
    if isinstance(node, exp.Limit):
        yield "its limit", False, _drop(exp.Limit)
    if isinstance(node, exp.Update):
        for one in node.expressions:
            yield f"SET {one.this.name}", False, _without_set(one.this.name)


def _of_condition(text: str) -> Iterator[tuple[str, bool, Change]]:
    locks = re.match(r"x\.(\w+) = ANY\((ARRAY\(|CAST\(%\(\1\)s)", text) is not None
    yield text, locks, _true_where(text)


def _condition_text(node: exp.Expr) -> str:
    """The text of a condition, whatever the row is called in it."""
    return re.sub(r"\b[rt]\.", "x.", " ".join(render(node, pretty=False).split()))


def _true_where(text: str) -> Change:
    def change(node: exp.Expr) -> None:
        if (
            isinstance(node.parent, exp.Where | exp.And | exp.Join)
            and not isinstance(node, exp.And)
            and _condition_text(node) == text
        ):
            node.replace(exp.true())

    return change


def _without_member(text: str, member: str) -> Change:
    def change(node: exp.Expr) -> None:
        if isinstance(node, exp.In | exp.Array) and _condition_text(node) == text:
            node.set("expressions", [one for one in node.expressions if _condition_text(one) != member])

    return change


def _without_lock(node: exp.Expr) -> None:
    if node.args.get("locks"):
        node.set("locks", [])


def _waiting(node: exp.Expr) -> None:
    if isinstance(node, exp.Lock):
        node.set("wait", None)


def _drop(kind: type[exp.Expr]) -> Change:
    def change(node: exp.Expr) -> None:
        if isinstance(node, kind):
            node.pop()

    return change


def _without_set(column: str) -> Change:
    def change(node: exp.Expr) -> None:
        if isinstance(node, exp.Update):
            node.set("expressions", [one for one in node.expressions if one.this.name != column])

    return change
