"""The neutral graph: the content of a picture, independent of any renderer. Made here from a lifecycle."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ..statemachine.lifecycle import Edge, EventStatus, Lifecycle, State
from ..statemachine.tables import QUEUES

Kind = Literal["start", "state", "task", "more", "join", "hook", "end"]
Tone = Literal["plain", "failure", "warning"]
Direction = Literal["down", "right"]

TONES: dict[EventStatus, Tone] = {"success": "plain", "info": "plain", "failure": "failure", "warning": "warning"}
START = "Start"  # no state can have this name: their names are in lower case


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of the picture. `key` is its identity, `title` its text, `captions` are small lines below it.

    `start` is the initial dot, `more` the ellipsis in a fan-out, `join` the point where parallel lines meet, `hook`
    user code around a job, and `end` the final dot.
    """

    key: str
    title: str
    kind: Kind
    captions: tuple[str, ...] = ()
    terminal: bool = False
    leased: bool = False
    failure: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """One arrow. `title` is the trigger, `caption` the event, `badges` the ids of the gap checks that guard it.

    `loose` marks an arrow that follows later, outside the transaction of the others.
    """

    source: str
    target: str
    title: str = ""
    caption: str = ""
    badges: tuple[str, ...] = ()
    tone: Tone = "plain"
    text: str = ""
    loose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A frame around the nodes that name its `key`."""

    key: str
    title: str
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A picture as data. `direction` is the main direction of its arrows, `text` its one-line explanation."""

    name: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Arrow, ...]
    groups: tuple[Group, ...] = ()
    direction: Direction = "down"
    text: str = ""

    @cached_property
    def order(self) -> dict[str, tuple[int, int]]:
        """For each node its distance from the first node, then its place in the declaration.

        An arrow from a higher to a lower node leads back; drawn in the other direction, it causes no cycle.
        """
        distance = {self.nodes[0].key: 0}
        queue = [self.nodes[0].key]
        for key in queue:
            for edge in self.edges:
                if edge.source == key and edge.target not in distance:
                    distance[edge.target] = distance[key] + 1
                    queue.append(edge.target)
        return {node.key: (distance.get(node.key, 0), place) for place, node in enumerate(self.nodes)}

    def leads_back(self, edge: Arrow) -> bool:
        """Whether `edge` points against the direction of the picture."""
        return self.order[edge.target] < self.order[edge.source]


def lifecycle_graph(lifecycle: Lifecycle) -> Graph:
    """The picture of a lifecycle: its states, and one arrow for each transition and source."""
    start = Node(key=START, title="", kind="start")
    return Graph(
        name=lifecycle.name,
        title=f"{lifecycle.name.replace('_', ' ').capitalize()} lifecycle",
        nodes=(start, *(_state_node(state) for state in lifecycle.states)),
        edges=(_creation(lifecycle), *(_arrow(edge) for edge in lifecycle.edges)),
        text=" ".join(part for part in (lifecycle.text, _queue_line(lifecycle)) if part),
    )


def _queue_line(lifecycle: Lifecycle) -> str:
    """How its rows wait for workers, if they are a queue of CoreMachine."""
    for record in QUEUES.values():
        if record.lifecycle is lifecycle and record.queue is not None:
            queue = record.queue
            claim = f"the trigger {queue.claim}" if queue.claim else "a lease and changes no state"
            order = ", ".join(queue.order)
            return f"Queue: rows wait by {queue.by} in the order of {order}; a claim is {claim}."
    return ""


def _state_node(state: State) -> Node:
    leased = ("leased",) if state.leased else ()
    until = (f"until {state.deadline}",) if state.deadline else ()
    waits = (f"waits for {state.waits_for}",) if state.waits_for else ()
    return Node(
        key=state.name,
        title=state.name,
        kind="state",
        captions=(" ".join((*leased, *waits, *until)),) if leased or waits or until else (),
        terminal=state.terminal,
        leased=state.leased,
        failure=state.failure,
    )


def _creation(lifecycle: Lifecycle) -> Arrow:
    created = lifecycle.created
    return Arrow(source=START, target=lifecycle.initial.name, caption=created.type if created else "")


def _arrow(edge: Edge) -> Arrow:
    transition = edge.transition
    return Arrow(
        source=edge.source,
        target=edge.target,
        title=transition.trigger,
        caption=transition.event.type,
        badges=tuple(gap.id for gap in transition.gap_checks),
        tone=TONES[transition.event.status],
        text=transition.text,
    )
