"""A neutral graph as Mermaid text: `stateDiagram-v2` for a lifecycle, `flowchart` for the shape of a job."""

from collections.abc import Iterator

from . import graphviz_style as style
from .graph import Arrow, Graph, Node

RESERVED = frozenset({"class", "default", "direction", "end", "graph", "note", "state", "style", "subgraph"})
ENTITIES = str.maketrans({"#": "#35;", '"': "#quot;", ";": "#59;", "<": "#lt;", ">": "#gt;", "\n": " "})


def to_mermaid(graph: Graph) -> str:
    """The Mermaid source of `graph`, for a fenced `mermaid` block of a Markdown page."""
    lifecycle = any(node.kind == "state" for node in graph.nodes)
    lines = _state_diagram(graph) if lifecycle else _flowchart(graph)
    return "\n".join(("---", f"title: {_quoted(graph.title)}", "---", *lines)) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.translate(ENTITIES) + '"'


def _key(key: str) -> str:
    return f"{key}_" if key.lower() in RESERVED else key


def _state_diagram(graph: Graph) -> Iterator[str]:
    states = [node for node in graph.nodes if node.kind == "state"]
    yield "stateDiagram-v2"
    for node in states:
        yield f"    state {_quoted(' · '.join((node.title, *node.captions)))} as {_key(node.key)}"
    for edge in graph.edges:
        yield f"    {_state_end(graph, edge.source)} --> {_key(edge.target)}{_label(edge)}"
    for node in states:
        if node.terminal:
            yield f"    {_key(node.key)} --> [*]"
    yield f"    classDef failure stroke:{style.COLOURS['failure']},stroke-width:2px"
    yield f"    classDef leased stroke:{style.COLOURS['plain']},stroke-width:3px"
    for node in states:
        if node.failure or node.leased:
            yield f"    class {_key(node.key)} {'failure' if node.failure else 'leased'}"


def _state_end(graph: Graph, key: str) -> str:
    return "[*]" if key == graph.nodes[0].key else _key(key)


def _label(edge: Arrow) -> str:
    """The text of an arrow in the order of UML: trigger, guards, event."""
    guards = f" [{', '.join(edge.badges)}]" if edge.badges else ""
    event = f" / {edge.caption}" if edge.caption else ""
    label = f"{edge.title}{guards}{event}".strip()
    return f": {label.translate(ENTITIES)}" if label else ""


def _flowchart(graph: Graph) -> Iterator[str]:
    yield "flowchart LR"
    for group in graph.groups:
        yield f"    subgraph {_key(group.key)} [{_quoted(' · '.join((group.title, *group.captions)))}]"
        yield from (f"        {_flow_node(node)}" for node in graph.nodes if node.group == group.key)
        yield "    end"
    yield from (f"    {_flow_node(node)}" for node in graph.nodes if not node.group)
    for edge in graph.edges:
        yield f"    {_key(edge.source)} {'-.->' if edge.loose else '-->'} {_key(edge.target)}"


def _flow_node(node: Node) -> str:
    key = _key(node.key)
    label = _quoted(" · ".join((node.title or " ", *node.captions)))
    match node.kind:
        case "start" | "join":
            return f"{key}(({label}))"
        case "end":
            return f"{key}((({label})))"
        case "hook":
            return f"{key}([{label}])"
        case "task" | "more" | "state":
            return f"{key}[{label}]"
