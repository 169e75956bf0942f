"""Mutants of the views over all queues: a queue, a condition, or what a column shows, less."""

import re
from collections.abc import Iterator

from sqlglot import exp

from coremachine.sql_generator.text import parse, render
from tests.mutants.conditions import Left

VIEW = re.compile(r"CREATE OR REPLACE VIEW app\.(\w+) AS\s(.*)", re.DOTALL)


def of_view(statement: str) -> Iterator[Left]:
    """Every text that makes the view with one thing less."""
    found = VIEW.match(statement)
    assert found, statement
    selects = [render(one, pretty=False) for one in _selects(parse(found.group(2)))]
    for at, select in enumerate(selects):
        queue = re.findall(r"'(\w+)'", select)[0]
        if at > 0:
            yield Left(f"the queue {queue}", _made(found.group(1), selects, at, None))
        for left in (*_without_condition(select), *_without_columns(select)):
            yield Left(f"{left.out} of {queue}", _made(found.group(1), selects, at, left.text))


def _selects(query: exp.Expr) -> list[exp.Expr]:
    return [*_selects(query.this), query.expression] if isinstance(query, exp.Union) else [query]


def _made(view: str, selects: list[str], at: int, instead: str | None) -> str:
    others = [(instead if place == at else one) for place, one in enumerate(selects)]
    return f"CREATE OR REPLACE VIEW app.{view} AS " + " UNION ALL ".join(one for one in others if one is not None)


def _without_condition(select: str) -> Iterator[Left]:
    for instead in ("true", "false"):
        tree = parse(select)
        where = tree.args["where"]
        where.set("this", exp.Boolean(this=instead == "true"))
        yield Left(f"its condition, which is {instead},", render(tree, pretty=False))


def _without_columns(select: str) -> Iterator[Left]:
    """NULL instead of what a column shows; its type stays."""
    for place, column in enumerate(parse(select).expressions):
        tree = parse(select)
        shown = column.unalias()
        if not isinstance(shown.this, exp.Null):
            nothing = exp.select(shown.copy()).where(exp.false()).subquery()
            tree.expressions[place].replace(exp.alias_(nothing, column.alias_or_name))
            yield Left(column.alias_or_name, render(tree, pretty=False))
