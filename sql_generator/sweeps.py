"""Sweeps: one move for every row of a parent, for example to cancel a stage's queued tasks."""

from functools import cache

from ..statemachine.errors import DefinitionError
from ..statemachine.records import Record
from .moves import assignments, cast_given, moment_of
from .text import parse, quoted, render


@cache
def sweep_statement(record: Record, trigger: str, source: str, column: str, schema: str = "app") -> str:
    """Fire `trigger` on every row in state `source` whose `column` is %(value)s, all with the same event and values.

    The caller must hold the lock of the parent, so that the rows cannot gain siblings meanwhile. Returns one row,
    `moved`, the number of rows that moved.
    """
    found = [one for one in record.lifecycle.transitions_of(trigger) if source in one.sources]
    if not found:
        raise DefinitionError(f"{record.machine}.{trigger} does not leave {source}")
    kind = record.column(column).type
    changes = assignments(record, found[0], "n.moment", "%({})s")
    sets = ", ".join(f"{name} = {cast_given(record, name, value)}" for name, value in changes.items())
    key, table = record.key.name, f"{schema}.{record.table}"
    return render(
        parse(
            f"WITH moved AS (UPDATE {table} AS r SET {sets} FROM {moment_of(schema)}"
            f" WHERE r.status = {quoted(source)} AND r.{key} = ANY(ARRAY(SELECT t.{key} FROM {table} AS t"
            f" WHERE t.{column} = CAST(%(value)s AS {kind}) AND t.status = {quoted(source)}"
            f" ORDER BY t.{key} FOR NO KEY UPDATE)) RETURNING 1)"
            " SELECT COUNT(*) AS moved FROM moved",
        ),
    )
