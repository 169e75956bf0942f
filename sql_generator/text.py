"""Between PostgreSQL text and sqlglot expressions: the only place that parses and prints."""

import sqlglot
from sqlglot import exp

from ..statemachine.errors import DefinitionError

DIALECT = "postgres"


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


def source_state(column: str, states: tuple[str, ...]) -> str:
    """A condition that `column` is one of `states`, which no partial index can answer.

    On tables whose statistics are stale the planner takes an index on `status = 'queued'` to be empty, and reads all
    of the queue to find one row whose key it knows.
    """
    return f"{column} = ANY(CAST((SELECT ARRAY[{listed(states)}]) AS VARCHAR[]))"
