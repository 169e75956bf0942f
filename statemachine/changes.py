"""Changes of a row that are not moves: which columns each one changes, and by how much.

A move changes the state and writes an event. Everything else that may happen to a row of CoreMachine is declared here
or in `queue`: the row's status stays, no event is written, and the database refuses any other difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_AHEAD = "1 day"
"""How far ahead a change may put a time. The settings keep leases, re-sends and the horizon well below it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How one column differs after a change.

    `value` is the SQL of the new value: `r` is the row, `n.moment` the time of the statement, %(name)s a parameter.
    `rule` is what must hold between {old} and {new}; in it {schema} stands for the schema. `text` is the same in
    words.
    """

    value: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change: every column in `columns` differs as declared, every other column keeps its value.

    `states` are the states in which a row may change this way, `when` a further condition on the row before the change,
    written over OLD.
    """

    name: str
    columns: Mapping[str, Difference]
    states: tuple[str, ...]
    when: str = ""
    text: str = ""


def ahead(value: str) -> Difference:
    """A time that is at most LONGEST_AHEAD ahead."""
    return Difference(
        value, f"{{new}} <= {{schema}}.clock() + INTERVAL '{LONGEST_AHEAD}'", "a time, at most a day ahead"
    )


EMPTY = Difference("NULL", "{new} IS NULL", "empty")
ZERO = Difference("0", "{new} = 0", "0")
NOW = ahead("n.moment")
