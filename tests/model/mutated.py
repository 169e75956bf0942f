"""The declaration with something taken out of it. Definition checks would refuse many: here they are passed by."""

from collections.abc import Iterator
from dataclasses import replace

from coremachine.statemachine.lifecycle import Edge, Lifecycle
from coremachine.statemachine.lifecycles import LIFECYCLES


class Unchecked(Lifecycle):
    """A lifecycle that nobody has looked at."""

    def __post_init__(self) -> None:
        """Accept anything."""


def without(edge: Edge, lifecycle: Lifecycle) -> tuple[Lifecycle, ...]:
    """Every lifecycle, that one without this edge."""
    left = [
        replace(one, sources=tuple(s for s in one.sources if not (one is edge.transition and s == edge.source)))
        for one in lifecycle.transitions
    ]
    mutant = Unchecked(lifecycle.name, lifecycle.states, tuple(one for one in left if one.sources), lifecycle.created)
    return tuple(mutant if one is lifecycle else one for one in LIFECYCLES)


def edges() -> Iterator[tuple[Lifecycle, Edge]]:
    """Every edge that is declared."""
    return ((lifecycle, edge) for lifecycle in LIFECYCLES for edge in lifecycle.edges)
