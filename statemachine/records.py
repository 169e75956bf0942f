"""What a record is: a table whose rows follow a lifecycle, as frozen data.

Its DDL and its moves are generated from it. A *tie* declares in which states a column has a value, so that no move
has to repeat which columns it sets and clears, and the table refuses a row that breaks the rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .changes import Change
from .checks import check_name
from .errors import DefinitionError
from .lifecycle import Lifecycle
from .queue import Queue, queue_changes
from .renamed import renamed_arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. `type`, `default` and `check` are PostgreSQL text; {schema} in `default` stands for the schema.

    An `immutable` column gets its value when the row is created, and workers may not change it. Only the database
    writes a `counted` column, in which it counts the row's children.
    """

    name: str
    type: str
    nullable: bool = False
    default: str | None = None
    identity: bool = False
    unique: bool = False
    check: str | None = None
    references: str | None = None
    immutable: bool = False
    counted: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A CHECK constraint over several columns, as PostgreSQL text."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index. `where` makes it partial, `include` makes it covering."""

    name: str
    columns: tuple[str, ...]
    where: str | None = None
    include: tuple[str, ...] = ()
    unique: bool = False


@renamed_arguments(span="plus_interval")
@dataclass(frozen=True, slots=True, kw_only=True)
class StateColumn:
    """Ties a column to states: it has a value in `required`, may have one in `allowed`, and is NULL elsewhere.

    Entering a required state from one in which it was not required fills it: from the move's values, from the
    clock (`clock=True`), or from the clock plus the number of seconds in the move's value named `after`.
    A column with a `plus_interval` is filled with the clock plus that interval column of the row on entering its
    states from outside; it stays NULL if the interval is NULL. Entering an allowed state leaves it unchanged; entering
    any other state clears it.
    """

    column: str
    required: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    clock: bool = False
    after: str | None = None
    plus_interval: str | None = None


@renamed_arguments(carries="copied_columns", carries_before="copied_before")
@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """The table that holds a record's events, and which columns of the row each event carries.

    `copied_columns` are taken from the row after the move, `copied_before` from the row before it: a retry's event
    carries the attempt that failed, not the next one. `identified_by` are the copied columns that say which row an
    event belongs to; by default the row's key.
    """

    table: str
    copied_columns: tuple[str, ...]
    copied_before: tuple[str, ...] = ()
    identified_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The row that a row belongs to, found by the column `key` of both tables, and what is counted in it.

    `counts` maps a column of the parent to the states in which a row counts (an empty tuple: every state), `sums` a
    column of the parent to the column whose sum it holds. The database counts in a trigger, for every client.
    `same` are columns in which a row equals its parent. `states` are the parent's states in which a row may be created;
    empty if the parent's constraints enforce that.
    """

    table: str
    key: str
    counts: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    sums: Mapping[str, str] = field(default_factory=dict[str, str])
    same: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


@renamed_arguments(ties="state_columns", fence="fencing_column")
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """A table whose rows follow a lifecycle. Two records are equal only if they are the same object.

    `sets` names, for each trigger, further columns that take a value from the move; `counts` those that rise by
    one, `adds` those that rise by the given value, `resets` those that return to their default, `clears` those that
    become NULL.
    `fencing_column` is a column that must still hold the value in the move when it leaves a leased state.
    `changes` are the declared changes that are not moves, besides those of the queue; a row cannot change in any other
    way. With None, columns that are not tied to states may change freely while the row is open.
    Each trigger of its lifecycle belongs to one transition: a lifecycle alone may share one, a record may not.
    With `bounded` its numbers, times and intervals stay within a range that can be read, compared and added to.
    """

    lifecycle: Lifecycle
    table: str
    key: Column
    columns: tuple[Column, ...]
    log: EventLog
    state_columns: tuple[StateColumn, ...] = ()
    checks: tuple[Check, ...] = ()
    indexes: tuple[Index, ...] = ()
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    counts: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    adds: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    resets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    clears: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    fencing_column: str | None = None
    queue: Queue | None = None
    parent: Parent | None = None
    changes: tuple[Change, ...] | None = None
    bounded: bool = False
    storage: str = ""

    def __post_init__(self) -> None:
        check_name("table", self.table)
        self._check_columns()
        self._check_names()
        self._check_triggers()

    def column(self, name: str) -> Column:
        """The column called `name`. Raises DefinitionError if there is none."""
        for column in (self.key, *self.columns, *MOVE_COLUMNS):
            if column.name == name:
                return column
        raise DefinitionError(f"{self.table}: column {name} is not declared")

    @property
    def machine(self) -> str:
        """The name of the lifecycle."""
        return self.lifecycle.name

    @property
    def identified_by(self) -> tuple[str, ...]:
        """The columns of the log that say which row an event belongs to."""
        return self.log.identified_by or (self.key.name,)

    @property
    def changing(self) -> tuple[str, ...]:
        """The columns of a row that clients may change."""
        columns = (*self.columns, *MOVE_COLUMNS)
        return tuple(column.name for column in columns if not (column.immutable or column.counted))

    @property
    def inserted(self) -> tuple[str, ...]:
        """The columns that clients may set in a new row."""
        columns = (self.key, *self.columns, *MOVE_COLUMNS)
        return tuple(column.name for column in columns if not (column.identity or column.counted))

    @property
    def ends(self) -> tuple[str, ...]:
        """The terminal states."""
        return self.lifecycle.ended_states

    @property
    def all_changes(self) -> tuple[Change, ...]:
        """Every declared change that is not a move: those of the queue, then the record's own."""
        queued = () if self.queue is None else tuple(queue_changes(self.queue, self.lifecycle).values())
        return (*queued, *(self.changes or ()))

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that only moves may change: a result, an error, a time."""
        given = {column for columns in self.sets.values() for column in columns}
        kept = (tie for tie in self.state_columns if tie.required or tie.column in given)
        return tuple(
            tie.column
            for tie in kept
            if tie.after is None and tie.plus_interval is None and tie.column not in LEASE_COLUMNS
        )

    def _check_columns(self) -> None:
        states = set(self.lifecycle.by_name)
        for tie in self.state_columns:
            if not self.column(tie.column).nullable:
                raise DefinitionError(f"{self.table}.{tie.column} is tied to states, so it must be nullable")
            if tie.plus_interval is not None:
                self.column(tie.plus_interval)
            unknown = {*tie.required, *tie.allowed} - states
            if unknown:
                raise DefinitionError(
                    f"{self.table}.{tie.column} is tied to {sorted(unknown)}, which is not declared as a state"
                )
        tied = {(tie.column, state) for tie in self.state_columns for state in tie.required}
        for state in self.lifecycle.states:
            for column in (LEASE_COLUMNS if state.leased else ()) + ((state.deadline,) if state.deadline else ()):
                if (column, state.name) not in tied:
                    raise DefinitionError(f"{self.machine}.{state.name}: column {column} must be tied to this state")

    def _check_names(self) -> None:
        named = [*self.log.copied_columns, *self.log.copied_before]
        if self.fencing_column is not None:
            named.append(self.fencing_column)
        if self.parent is not None:
            named += [self.parent.key, *self.parent.same, *self.parent.sums.values()]
        for name in named:
            self.column(name)
        for name in self.identified_by:
            if name not in self.log.copied_columns:
                raise DefinitionError(
                    f"{self.table}: {self.log.table} must carry {name}, to say which row an event belongs to; add it to"
                    " copied_columns, or name others in identified_by",
                )

    def _check_triggers(self) -> None:
        triggers = {transition.trigger for transition in self.lifecycle.transitions}
        for trigger in sorted(triggers):
            self._check_single(trigger)
        changed = (self.sets, self.counts, self.adds, self.resets, self.clears)
        for trigger, names in (item for change in changed for item in change.items()):
            if trigger not in triggers:
                raise DefinitionError(f"{self.table}: {self.machine} has no trigger {trigger}")
            for name in names:
                self.column(name)
        for tie in self.state_columns:
            for transition in self.lifecycle.transitions:
                held = {source in tie.required for source in transition.sources}
                if transition.target in tie.required and len(held) > 1:
                    raise DefinitionError(
                        f"{self.table}.{tie.column}: {transition.trigger} enters {transition.target} from states with"
                        " and without it; declare one transition for each, each with its own trigger",
                    )

    def _check_single(self, trigger: str) -> None:
        """Raise DefinitionError for a trigger of several transitions: a row is moved by one statement a trigger."""
        found = [f"{'|'.join(one.sources)} → {one.target}" for one in self.lifecycle.transitions_of(trigger)]
        if len(found) > 1:
            raise DefinitionError(
                f"{self.machine}.{trigger}: {len(found)} transitions have this trigger ({', '.join(found)}); in a"
                " record give each its own trigger, or join those with the same target into one with all sources",
            )


LEASE_COLUMNS = ("lease_owner", "lease_expires_at")

MOVE_COLUMNS = (
    Column(name="status", type="VARCHAR(20)"),
    Column(name="created_at", type="TIMESTAMPTZ", default="{schema}.clock()", immutable=True),
    Column(name="move_number", type="INT", default="0", text="how often this row has moved"),
    Column(name="event_type", type="VARCHAR(50)", nullable=True, text="the event of the last move"),
    Column(name="event_status", type="VARCHAR(20)", nullable=True),
    Column(name="event_data", type="JSONB", nullable=True),
)
"""The columns of every record: its state, and the event of its last move, from which a trigger writes the log."""


@dataclass(frozen=True)
class Schema:
    """Records that are installed together. Raises DefinitionError if two of them use the same name."""

    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        tables = [record.table for record in self.records]
        machines = [record.machine for record in self.records]
        for kind, names in (("table", tables), ("machine", machines)):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise DefinitionError(f"{kind} {', '.join(sorted(twice))} is declared twice")
        owners: dict[tuple[str, str], str] = {}
        for record in self.records:
            for event_type in record.lifecycle.event_types:
                other = owners.setdefault((record.log.table, event_type), record.machine)
                if other != record.machine:
                    raise DefinitionError(f"event type {event_type} is written by {other} and by {record.machine}")

    @cached_property
    def by_machine(self) -> dict[str, Record]:
        """The records, keyed by the name of their lifecycle."""
        return {record.machine: record for record in self.records}
