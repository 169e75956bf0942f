"""PostgreSQL text and sqlglot expressions: the only module that parses and prints SQL."""

import re

import sqlglot
from sqlglot import exp

from ..statemachine.errors import DefinitionError

DIALECT = "postgres"
BARE = re.compile(r"(?!null\Z)[a-z0-9_]+\Z")


def parse(text: str) -> exp.Expr:
    """Read one statement or fragment. Raises DefinitionError for text that is not PostgreSQL."""
    try:
        return sqlglot.parse_one(text, read=DIALECT)
    except sqlglot.ParseError as error:
        raise DefinitionError(f"not PostgreSQL: {text!r}: {error}") from error


def render(expression: exp.Expr, *, pretty: bool = True) -> str:
    """Print an expression as PostgreSQL text."""
    return expression.sql(dialect=DIALECT, pretty=pretty)


def quoted(value: str) -> str:
    """`value` as a PostgreSQL string literal."""
    return render(exp.Literal.string(value))


def data_type(text: str) -> exp.DataType:
    """A type as an expression, as in `VARCHAR(64)`."""
    return exp.DataType.build(text, dialect=DIALECT, udt=True)


def listed(values: tuple[str, ...]) -> str:
    """Values as the inside of an IN list."""
    return ", ".join(quoted(value) for value in values)


def one_of(value: str, names: tuple[str, ...]) -> str:
    """A rule that `value` is one of `names`, as an array in one literal.

    PostgreSQL stores the rules of a table as printed trees, and parses them for every statement that writes to it:
    a list of constants, each with its type, is five times as long as their array.
    """
    if len(names) == 1:
        return f"{value} = {quoted(names[0])}"
    return f"{value} = ANY(CAST({quoted('{' + ','.join(map(_element, names)) + '}')} AS TEXT[]))"


def _element(name: str) -> str:
    """An element of an array literal, quoted if it would mean something else."""
    if BARE.match(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def source_state(column: str, states: tuple[str, ...]) -> str:
    """A condition that `column` is one of `states`, written so that no partial index matches.

    With stale statistics the planner takes an index on `status = 'queued'` to be empty, and reads the whole queue to
    find one row whose key it knows.
    """
    return f"{column} = ANY(CAST((SELECT ARRAY[{listed(states)}]) AS VARCHAR[]))"
