"""The moves: for each transition one guarded, set-based statement.

A move takes arrays, one element per row, and is a single UPDATE that names the source state, takes the event from the
machine's callback, and returns the keys of the rows that it won. Rows are locked in the order of their keys. A row
that is not returned was moved by another client, or was never in the source state.
"""

from dataclasses import dataclass
from functools import cache

from sqlglot import exp

from ..statemachine.errors import DefinitionError
from ..statemachine.lifecycle import Transition
from ..statemachine.records import Record, StateColumn
from .text import parse, quoted, render, source_state

EVENT_INPUTS = ("event_type", "event_status", "event_data")


@dataclass(frozen=True, slots=True)
class MoveStatement:
    """The SQL of one transition, and the names of the array parameters that it takes.

    The first input is the row's key as text. Each array has one element per row; all have the same length.
    """

    sql: str
    inputs: tuple[str, ...]


@cache
def move_statement(record: Record, trigger: str, schema: str = "app") -> MoveStatement:
    """The statement that fires `trigger` on rows of `record`.

    Raises DefinitionError for a trigger that the lifecycle does not have.
    """
    found = tuple(record.lifecycle.transitions_of(trigger))
    if len(found) != 1:
        raise DefinitionError(
            f"{record.machine}.{trigger}: {len(found)} transitions have this trigger, a move needs one"
        )
    transition = found[0]
    inputs = _inputs(record, transition)
    return MoveStatement(render(_update(record, transition, inputs, schema)), tuple(inputs))


def moment_of(schema: str) -> str:
    """One row with the time of the statement: the inner SELECT runs once, because OFFSET 0 prevents inlining."""
    return f"(SELECT (SELECT {schema}.clock()) AS moment OFFSET 0) AS n"


def assignments(record: Record, transition: Transition, moment: str, given: str) -> dict[str, str]:
    """The SET clauses of a move, column by column.

    `moment` is the SQL of the time of the move, `given` the format of the move's values.
    """
    changes = {"status": quoted(transition.target), "move_number": "r.move_number + 1"}
    changes |= {name: given.format(name) for name in EVENT_INPUTS}
    for tie in record.state_columns:
        change = _tied(tie, transition, moment, given)
        if change is not None:
            changes[tie.column] = change
    changes |= {name: f"r.{name} + 1" for name in record.counts.get(transition.trigger, ())}
    changes |= {name: f"r.{name} + {given.format(name)}" for name in record.adds.get(transition.trigger, ())}
    changes |= {name: given.format(name) for name in record.sets.get(transition.trigger, ())}
    changes |= {name: record.column(name).default or "NULL" for name in record.resets.get(transition.trigger, ())}
    changes |= dict.fromkeys(record.clears.get(transition.trigger, ()), "NULL")
    return changes


def cast_given(record: Record, column: str, value: str) -> str:
    """A SET value with its type, if it is a parameter: PostgreSQL cannot always infer it."""
    return f"CAST({value} AS {record.column(column).type})" if value.startswith("%(") else value


def _tied(tie: StateColumn, transition: Transition, moment: str, given: str) -> str | None:
    target = transition.target
    if tie.plus_interval is not None and target in (states := {*tie.required, *tie.allowed}):
        return None if set(transition.sources) <= states else f"{moment} + r.{tie.plus_interval}"
    if target in tie.required:
        if set(transition.sources) <= set(tie.required):
            return None
        if tie.after is not None:
            return f"{moment} + MAKE_INTERVAL(secs => {given.format(tie.after)})"
        return moment if tie.clock else given.format(tie.column)
    return None if target in tie.allowed else "NULL"


def _inputs(record: Record, transition: Transition) -> dict[str, str]:
    """The array parameters and their element types, the key first."""
    inputs = {record.key.name: "VARCHAR", "event_type": "VARCHAR", "event_status": "VARCHAR", "event_data": "JSONB"}
    if _fence(record, transition) is not None and record.fencing_column is not None:
        inputs[record.fencing_column] = record.column(record.fencing_column).type
    for tie in record.state_columns:
        if _tied(tie, transition, "", "{}") in {tie.column, f" + MAKE_INTERVAL(secs => {tie.after})"}:
            name, kind = (tie.after, "FLOAT8") if tie.after else (tie.column, record.column(tie.column).type)
            inputs[name] = kind
    for name in (*record.sets.get(transition.trigger, ()), *record.adds.get(transition.trigger, ())):
        inputs[name] = record.column(name).type
    return inputs


def _fence(record: Record, transition: Transition) -> str | None:
    """The lease number alone is not enough: a row that is queued again keeps the number of its last lease."""
    leased = tuple(source for source in transition.sources if record.lifecycle.by_name[source].leased)
    if record.fencing_column is None or not leased:
        return None
    same = f"r.{record.fencing_column} = i.{record.fencing_column}"
    if len(leased) == len(transition.sources):
        return same
    return f"(i.{record.fencing_column} IS NULL OR {same} AND {source_state('r.status', leased)})"


def _update(record: Record, transition: Transition, inputs: dict[str, str], schema: str) -> exp.Expr:
    key, key_type = record.key.name, record.key.type
    arrays = ", ".join(f"CAST(%({name})s AS {element_type(kind)}[])" for name, kind in inputs.items())
    changes = assignments(record, transition, "i.moment", "i.{}")
    sets = ", ".join(f"{column} = {value}" for column, value in changes.items())
    mine, theirs = (source_state(f"{row}.status", transition.sources) for row in "rt")
    fence = _fence(record, transition)
    update = parse(
        f"WITH input AS (SELECT i.*, n.moment FROM UNNEST({arrays}) AS i({', '.join(inputs)})"
        f" CROSS JOIN {moment_of(schema)})"
        f" UPDATE {schema}.{record.table} AS r SET {sets} FROM input AS i"
        f" WHERE r.{key} = CAST(i.{key} AS {key_type}) AND {mine}"
        f" AND r.{key} = ANY(ARRAY(SELECT t.{key} FROM {schema}.{record.table} AS t"
        f" WHERE t.{key} = {any_of(key, key_type)} AND {theirs}"
        f" ORDER BY t.{key} FOR NO KEY UPDATE))"
        f" RETURNING CAST(r.{key} AS VARCHAR) AS key",
    )
    if fence is not None and isinstance(update, exp.Update):
        update.args["where"].set("this", exp.and_(update.args["where"].this, parse(fence)))
    return update


def any_of(parameter: str, kind: str) -> str:
    """An ANY over a parameter that is an array of keys. With a sub-select the planner assumes that it is short.

    If it knew the length, it would scan a table of some thousand pages rather than look up five hundred keys.
    """
    return f"ANY(ARRAY(SELECT UNNEST(CAST(%({parameter})s AS {element_type(kind)}[]))))"


def element_type(kind: str) -> str:
    """The type of an array's elements, without lengths, which the table checks."""
    return kind.split("(", maxsplit=1)[0]
