"""Definition-time checks: an error in a lifecycle is reported when it is imported, by name."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from .errors import DefinitionError

if TYPE_CHECKING:
    from .lifecycle import Lifecycle

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
LIMITS = {"machine": 40, "state": 20, "trigger": 40, "event type": 50}


def check_lifecycle(lifecycle: Lifecycle) -> None:
    """Raise DefinitionError for the first error in `lifecycle`."""
    _check_names(lifecycle)
    _check_marks(lifecycle)
    _check_ends(lifecycle)
    _check_ambiguity(lifecycle)
    _check_reach(lifecycle)
    _check_owners(lifecycle)


def check_name(kind: str, name: str) -> None:
    """Raise DefinitionError unless `name` can be used in SQL, DOT and a URL without quoting."""
    if not NAME.match(name):
        raise DefinitionError(f"{kind} {name!r}: use lower-case letters, digits and _, starting with a letter")
    if len(name) > LIMITS.get(kind, 50):
        raise DefinitionError(f"{kind} {name!r} is longer than {LIMITS.get(kind, 50)} characters")


def _check_names(lifecycle: Lifecycle) -> None:
    check_name("machine", lifecycle.name)
    for state in lifecycle.states:
        check_name("state", state.name)
    for name, times in Counter(state.name for state in lifecycle.states).items():
        if times > 1:
            raise DefinitionError(f"{lifecycle.name}: state {name} is declared {times} times")
    for transition in lifecycle.transitions:
        check_name("trigger", transition.trigger)
        check_name("event type", transition.event.type)


def _check_marks(lifecycle: Lifecycle) -> None:
    initial = [state.name for state in lifecycle.states if state.initial]
    if len(initial) != 1:
        raise DefinitionError(f"{lifecycle.name}: exactly one state must be initial, not {initial or 'none'}")
    if not lifecycle.ended_states:
        raise DefinitionError(f"{lifecycle.name}: no state is terminal")
    for state in lifecycle.states:
        if state.terminal and state.leased:
            raise DefinitionError(f"{lifecycle.name}.{state.name}: a terminal state holds no lease")


def _check_ends(lifecycle: Lifecycle) -> None:
    known = {state.name for state in lifecycle.states}
    for transition in lifecycle.transitions:
        where = f"{lifecycle.name}.{transition.trigger}"
        if not transition.sources:
            raise DefinitionError(f"{where}: no source state")
        for name in (*transition.sources, transition.target):
            if name not in known:
                raise DefinitionError(f"{where}: state {name!r} is not declared; declared: {', '.join(sorted(known))}")
        if transition.target in transition.sources:
            raise DefinitionError(f"{where}: {transition.target} → {transition.target} does not change the state")


def _check_ambiguity(lifecycle: Lifecycle) -> None:
    by_trigger: set[tuple[str, str]] = set()
    by_event: dict[tuple[str, str], str] = {}
    for edge in lifecycle.edges:
        transition = edge.transition
        where = f"{lifecycle.name}.{transition.trigger}"
        if (edge.source, transition.trigger) in by_trigger:
            raise DefinitionError(f"{where}: ambiguous trigger, it leaves {edge.source} more than once")
        by_trigger.add((edge.source, transition.trigger))
        other = by_event.setdefault((edge.source, transition.event.type), transition.target)
        if other != transition.target:
            raise DefinitionError(
                f"{where}: event {transition.event.type} leaves {edge.source} for {other} as well as for"
                f" {transition.target}; replay could not tell them apart",
            )


def _check_reach(lifecycle: Lifecycle) -> None:
    steps = lifecycle.legal_pairs
    reached = _closure({lifecycle.initial.name}, steps)
    ending = _closure(set(lifecycle.ended_states), {(target, source) for source, target in steps})
    for state in lifecycle.states:
        if state.name not in reached:
            raise DefinitionError(f"{lifecycle.name}.{state.name}: unreachable from {lifecycle.initial.name}")
        if state.name not in ending:
            raise DefinitionError(f"{lifecycle.name}.{state.name}: no way to a terminal state")


def _closure(start: set[str], steps: frozenset[tuple[str, str]] | set[tuple[str, str]]) -> set[str]:
    reached = set(start)
    while more := {target for source, target in steps if source in reached} - reached:
        reached |= more
    return reached


def _check_owners(lifecycle: Lifecycle) -> None:
    for state in lifecycle.states:
        if not (state.terminal or state.leased or state.waits_for or state.deadline):
            raise DefinitionError(
                f"{lifecycle.name}.{state.name}: a non-terminal state with no owner and no deadline; declare what it"
                " waits for (waits_for=…), until when (deadline=…), or that it is leased",
            )
