"""One thing taken out of a condition: an operand, a member of a list, a direction of an equation."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlglot import exp

from coremachine.sql_generator.text import parse, render

STOPS = ("AND", "ORDER", "LIMIT", "THEN", "GROUP")


Place = Callable[[exp.Expr], str]
"""Words for where a node stands."""


class Left(NamedTuple):
    """What is left of a text, and what was taken out of it."""

    out: str
    text: str


def nowhere(_node: exp.Expr) -> str:
    """No words."""
    return ""


def taken_out(condition: str, place: Place = nowhere) -> Iterator[Left]:
    """Every condition that is this one with one thing less. None is the empty one: that is the caller's business."""
    tree = parse(f"SELECT {condition}").expressions[0]
    for node in list(tree.walk()):
        for out, mutate in choices(node):
            copy = tree.copy()
            twin = next(two for one, two in zip(tree.walk(), copy.walk(), strict=True) if one is node)
            holder = exp.Select(expressions=[copy])
            mutate(twin)
            out_of = node.args[mutate.gone] if isinstance(mutate, Keep) and mutate.gone in node.args else node
            yield Left(f"{out}{place(out_of)}", render(holder.expressions[0], pretty=False))


def choices(node: exp.Expr) -> Iterator[tuple[str, "Mutation"]]:
    """Every change of a node that takes one thing out of it, and what that is."""
    if isinstance(node, exp.Add):
        for side, other in (("this", "expression"), ("expression", "this")):
            if not isinstance(node.args[side], exp.Add | exp.Dot):  # the clock: what is left would be no time
                yield f"{_short(node.args[side])} in the sum{_limited(node)}", Keep(other)
    elif isinstance(node, exp.Is) and isinstance(node.expression, exp.Boolean):
        yield "IS TRUE", Keep("this")
    elif isinstance(node, exp.Coalesce):
        yield f"{_short(node)} of NULL", Keep("this")
    elif isinstance(node, exp.Case):
        yield from _branches_out(node)
    else:
        yield from _choices_of_conditions(node)


def _choices_of_conditions(node: exp.Expr) -> Iterator[tuple[str, "Mutation"]]:
    if isinstance(node, exp.And | exp.Or):
        for side, other in (("this", "expression"), ("expression", "this")):
            operand = node.args[side]
            if not isinstance(operand, type(node)) and operand.unnest() != exp.true():
                yield f"{node.key} {_short(operand)}", Keep(other)
    elif isinstance(node, exp.In | exp.Literal | exp.Least | exp.Greatest):
        yield from _members_out(node)
    elif isinstance(node, exp.EQ) and isinstance(node.this, exp.Paren) and isinstance(node.expression, exp.Paren):
        yield f"{_short(node)}, the one way", Imply("this", "expression")
        yield f"{_short(node)}, the other way", Imply("expression", "this")
    elif isinstance(node, exp.NullSafeNEQ | exp.NullSafeEQ) and isinstance(node.this, exp.Tuple | exp.Anonymous):
        for at, member in enumerate(node.this.expressions):
            yield f"compared {_short(member)}", Compare(at)
    elif isinstance(node, exp.Between):
        yield f"{_short(node)}, below", Bound("low")
        yield f"{_short(node)}, above", Bound("high")


def _limited(sum_: exp.Add) -> str:
    """Words for what is at most this sum."""
    return f" for {_short(sum_.parent.this)}" if isinstance(sum_.parent, exp.LTE) else ""


def _branches_out(node: exp.Case) -> Iterator[tuple[str, "Mutation"]]:
    """Of a CASE one branch less, or one that allows anything."""
    branches = node.args["ifs"]
    for at, branch in enumerate(branches):
        yield f"WHEN {_short(branch.this)}", DropBranch(at)
        if branch.args["true"].unnest() != exp.true():
            yield f"THEN of {_short(branch.this)}", Free(at)


def _members_out(node: exp.In | exp.Literal | exp.Least | exp.Greatest) -> Iterator[tuple[str, "Mutation"]]:
    """Of a list, of an array in one literal, or of LEAST and GREATEST, one member after the other."""
    if isinstance(node, exp.In):
        for at, member in enumerate(node.expressions if len(node.expressions) > 1 else ()):
            yield f"member {_short(member)}", Drop(at)
    elif isinstance(node, exp.Least | exp.Greatest):
        for at, member in enumerate(_compared(node) if len(_compared(node)) > 1 else ()):
            yield f"{_short(member)} in {node.key}", DropCompared(at)
    elif isinstance(node.parent, exp.Cast) and node.this.startswith("{"):
        for at, element in enumerate(_elements(node)):
            yield f"member {element}", DropElement(at)


class Mutation:
    """A change of one node."""

    def __call__(self, node: exp.Expr) -> None:
        """Change it."""
        raise NotImplementedError


class Keep(Mutation):
    """Of two operands, one is left."""

    def __init__(self, side: str) -> None:
        self.side = side
        self.gone = "this" if side == "expression" else "expression"

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        node.replace(node.args[self.side].copy())


class Drop(Mutation):
    """A list without one of its members."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        left = [one for position, one in enumerate(node.expressions) if position != self.at]
        node.set("expressions", left)


class DropBranch(Mutation):
    """A CASE without one of its branches."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        node.set("ifs", [one for position, one in enumerate(node.args["ifs"]) if position != self.at])


class Free(Mutation):
    """A CASE of which one branch is true."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        node.args["ifs"][self.at].set("true", exp.true())


class DropCompared(Mutation):
    """LEAST or GREATEST of one value less."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        first, *others = [one for position, one in enumerate(_compared(node)) if position != self.at]
        node.set("this", first)
        node.set("expressions", others)


class DropElement(Mutation):
    """The literal of an array without one of its elements."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        left = [one for position, one in enumerate(_elements(node)) if position != self.at]
        node.set("this", f"{{{','.join(left)}}}")


class Imply(Mutation):
    """Of an equation of two conditions, one implication."""

    def __init__(self, first: str, then: str) -> None:
        self.first, self.then = first, then

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        first, then = node.args[self.first].copy(), node.args[self.then].copy()
        node.replace(exp.Paren(this=exp.Or(this=exp.Not(this=first), expression=then)))


class Compare(Mutation):
    """Two rows compared in all columns but one."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        for side in (node.this, node.expression):
            Drop(self.at)(side)


class Bound(Mutation):
    """Of two bounds, one is left."""

    def __init__(self, missing: str) -> None:
        self.missing = missing

    def __call__(self, node: exp.Expr) -> None:  # noqa: D102 - see Mutation
        kind, bound = (exp.LTE, "high") if self.missing == "low" else (exp.GTE, "low")
        node.replace(kind(this=node.this.copy(), expression=node.args[bound].copy()))


def _compared(node: exp.Expr) -> list[exp.Expr]:
    return [node.this, *node.expressions]


def _elements(literal: exp.Expr) -> list[str]:
    return str(literal.this)[1:-1].split(",")


def _short(node: exp.Expr) -> str:
    return " ".join(render(node, pretty=False).split())[:70]


def conditions_out(body: str) -> Iterator[Left]:
    """A text of SQL or PL/pgSQL with one condition after the other made true."""
    for found in re.finditer(r"\b(WHERE|AND|IF) (?!EXISTS)", body):
        start, end = found.end(), _end_of(body, found.end())
        condition = body[start:end]
        yield Left(" ".join(condition.split())[:70], f"{body[:start]}true {body[end:]}")


def _end_of(body: str, start: int) -> int:
    """Where the condition that begins at `start` ends: before the next word that is none of its own."""
    depth = 0
    for found in re.compile(r"[()';]|\b[A-Z]+\b").finditer(body, start):
        word = found.group()
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
            if depth < 0:
                return found.start()
        elif depth == 0 and (word == ";" or word in STOPS):
            return found.start()
    return len(body)
