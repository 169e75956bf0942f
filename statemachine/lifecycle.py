"""What a lifecycle is: states, transitions and the events they write, as frozen data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, NewType

from .checks import check_lifecycle
from .errors import DefinitionError, ReplayError
from .gaps import GapCheck

EventStatus = Literal["success", "failure", "warning", "info"]
Trigger = NewType("Trigger", str)
"""A trigger that a lifecycle declares."""

NoteType = NewType("NoteType", str)
"""The type of an event that records an action, not a change of state."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a transition writes: a type of at most 50 characters, and whether it is good news."""

    type: str
    status: EventStatus = "success"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state of a lifecycle.

    `terminal` marks a state that waits for nothing; edges may leave it, but only by a
    request (a resume, a revocation). `leased` marks a state in which a worker holds the row for a limited
    time. `waits_for` names what moves a non-terminal row on, `deadline` the column with the time limit.
    `failure` marks a state that diagrams and pages show as a failure.
    """

    name: str
    initial: bool = False
    terminal: bool = False
    leased: bool = False
    failure: bool = False
    waits_for: str = ""
    deadline: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One trigger: from any of `sources` to `target`, writing `event`, guarded by `gap_checks`."""

    trigger: str
    sources: tuple[str, ...]
    target: str
    event: Event
    gap_checks: tuple[GapCheck, ...] = ()
    text: str = ""


class Edge(NamedTuple):
    """A transition seen from one of its sources."""

    source: str
    transition: Transition

    @property
    def target(self) -> str:
        """The state that the transition leads to."""
        return self.transition.target


@dataclass(frozen=True)
class Lifecycle:
    """A named set of states and the transitions between them, checked when it is created.

    `created` is the event of a new record, if creation writes one.

    Raises DefinitionError, naming machine, state and trigger, for an unreachable state, a state with no way to a
    terminal one, an ambiguous trigger or event, and a non-terminal state with no owner and no deadline.
    """

    name: str
    states: tuple[State, ...]
    transitions: tuple[Transition, ...]
    created: Event | None = None
    text: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        check_lifecycle(self)

    @cached_property
    def by_name(self) -> dict[str, State]:
        """The states, keyed by name."""
        return {state.name: state for state in self.states}

    @cached_property
    def initial(self) -> State:
        """The state in which a record is created."""
        return next(state for state in self.states if state.initial)

    @cached_property
    def open_states(self) -> tuple[str, ...]:
        """The states in which something is still waited for."""
        return tuple(state.name for state in self.states if not state.terminal)

    @cached_property
    def ended_states(self) -> tuple[str, ...]:
        """The terminal states."""
        return tuple(state.name for state in self.states if state.terminal)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every transition once for each of its sources, in the order of declaration."""
        return tuple(Edge(source, transition) for transition in self.transitions for source in transition.sources)

    @cached_property
    def legal_pairs(self) -> frozenset[tuple[str, str]]:
        """The (source, target) pairs that some transition allows."""
        return frozenset((edge.source, edge.target) for edge in self.edges)

    @cached_property
    def event_types(self) -> frozenset[str]:
        """Every event type that this lifecycle writes, that of creation included."""
        created = {self.created.type} if self.created else set[str]()
        return frozenset(created | {transition.event.type for transition in self.transitions})

    def trigger(self, name: str) -> Trigger:
        """A declared trigger, for code that fires it. Raises DefinitionError, so that a typo fails on import."""
        if not any(self.transitions_of(name)):
            declared = ", ".join(sorted({transition.trigger for transition in self.transitions}))
            raise DefinitionError(f"{self.name}: no trigger {name!r}; declared are {declared}")
        return Trigger(name)

    def triggers_from(self, state: str) -> tuple[str, ...]:
        """The triggers that are legal in `state`."""
        return tuple(edge.transition.trigger for edge in self.edges if edge.source == state)

    def transitions_of(self, trigger: str) -> Iterator[Transition]:
        """The transitions that `trigger` may mean; the state in which it is fired decides which one."""
        return (transition for transition in self.transitions if transition.trigger == trigger)

    def replay(self, event_types: Iterable[str]) -> str:
        """Fold events, oldest first, into the state they lead to.

        Raises ReplayError at the first event that does not leave the state reached so far.
        """
        state = self.initial.name
        for position, event_type in enumerate(event_types):
            if position == 0 and self.created is not None and event_type == self.created.type:
                continue
            target = self._after.get((state, event_type))
            if target is None:
                raise ReplayError(self.name, state, event_type, position)
            state = target
        return state

    @cached_property
    def _after(self) -> dict[tuple[str, str], str]:
        return {(edge.source, edge.transition.event.type): edge.target for edge in self.edges}
