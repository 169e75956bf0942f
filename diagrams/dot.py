"""A neutral graph as DOT. Deterministic: the same graph gives the same text, byte for byte."""

from contextlib import AbstractContextManager
from html import escape
from itertools import pairwise
from typing import Protocol, cast

import graphviz  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from . import look
from .graph import Edge, Graph, Group, Node


class _Drawing(Protocol):
    """The part of `graphviz.Digraph` that is used here; the package comes without types."""

    @property
    def source(self) -> str: ...
    def attr(self, kw: str | None = None, /, **attributes: str) -> None: ...
    def node(self, name: str, label: str, /, **attributes: str) -> None: ...
    def edge(self, tail: str, head: str, /, **attributes: str) -> None: ...
    def subgraph(self, *, name: str | None = None) -> AbstractContextManager["_Drawing"]: ...


def to_dot(graph: Graph) -> str:
    """The DOT source of `graph`, complete with its looks; any Graphviz from version 2.40 on draws it."""
    picture = cast("_Drawing", graphviz.Digraph(graph.name))  # pyright: ignore[reportUnknownMemberType]
    picture.attr("graph", **look.page(graph.direction), label=_title(graph))
    picture.attr("node", **look.NODE)
    picture.attr("edge", **look.EDGE)
    for group in graph.groups:
        with picture.subgraph(name=f"cluster_{group.key}") as frame:
            frame.attr("graph", **look.GROUP, label=_group_label(group))
            _add_column(frame, [node for node in graph.nodes if node.group == group.key])
    for node in graph.nodes:
        if not node.group:
            _add_node(picture, node)
    for number, edge in _balanced(graph.edges):
        _add_edge(picture, graph, edge, f"Edge_{number:02}")
    return picture.source


def _balanced(edges: tuple[Edge, ...]) -> tuple[tuple[int, Edge], ...]:
    """The plain arrows in the middle, the others by turns on either side: dot begins with the order it is given."""
    numbered = list(enumerate(edges, start=1))
    plain = [pair for pair in numbered if pair[1].tone == "plain"]
    others = [pair for pair in numbered if pair[1].tone != "plain"]
    return (*others[::2], *plain, *others[1::2])


def _add_column(frame: _Drawing, nodes: list[Node]) -> None:
    """Nodes of one rank, the first on top. Unseen lines keep them so; dot ranks from the bottom where it goes right."""
    with frame.subgraph() as column:
        column.attr(rank="same")
        for node in nodes:
            _add_node(column, node)
        for above, below in pairwise(nodes):
            column.edge(below.key, above.key, style="invis")


def _add_node(picture: _Drawing, node: Node) -> None:
    label = "" if node.kind in {"start", "join", "end"} else _node_label(node)
    picture.node(node.key, label, tooltip=_plain(node.title or node.kind), **look.node(node))


def _add_edge(picture: _Drawing, graph: Graph, edge: Edge, key: str) -> None:
    """An arrow with words is two lines with a plate between them, so that no words can lie on another line.

    An arrow that leads back is declared the other way round and drawn with its head at the other end: dot then
    has no cycle to break, and ranks the states in the order in which a record passes through them.
    """
    line = look.line(edge)
    if not (edge.title or edge.caption):
        picture.edge(edge.source, edge.target, **line, weight=look.weight(edge))
        return
    plate = look.plate(edge.tone) if edge.title else look.BARE_PLATE
    picture.node(key, _plate_label(edge), tooltip=_plain(_tooltip(edge)), **plate)
    if graph.leads_back(edge):
        picture.edge(edge.target, key, dir="back", weight=look.weight(edge, near=True), **line)
        picture.edge(key, edge.source, dir="none", weight=look.weight(edge), **line)
    else:
        picture.edge(edge.source, key, dir="none", weight=look.weight(edge, near=True), **line)
        picture.edge(key, edge.target, weight=look.weight(edge), **line)


def _tooltip(edge: Edge) -> str:
    return f"{edge.title or edge.caption}: {edge.text}" if edge.text else edge.title or edge.caption


def _plain(text: str) -> str:
    """Text in which no backslash, and no bracket at its ends, means anything to Graphviz."""
    return str(graphviz.escape(text))  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]


def _font(text: str, size: int, colour: str, *, bold: bool = False) -> str:
    words = f"<b>{escape(text)}</b>" if bold else escape(text)
    return f'<font point-size="{size}" color="{colour}">{words}</font>'


def _rows(*rows: str, align: str = "center") -> str:
    cells = "".join(f'<tr><td align="{align}">{row}</td></tr>' for row in rows)
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="1">{cells}</table>>'


def _title(graph: Graph) -> str:
    title = _font(graph.title, look.TITLE_SIZE, look.INK, bold=True)
    text = (_font(graph.text, look.TEXT_SIZE, look.GREY),) if graph.text else ()
    return _rows(title, *text, "&nbsp;", align="left")


def _group_label(group: Group) -> str:
    captions = (_font(caption, look.SMALL_SIZE, look.GREY) for caption in group.captions)
    return _rows(_font(group.title, look.TRIGGER_SIZE, look.INK, bold=True), *captions)


def _node_label(node: Node) -> str:
    captions = (_font(caption, look.SMALL_SIZE, look.GREY) for caption in node.captions)
    return _rows(_font(node.title, look.node_size(node), look.INK, bold=True), *captions)


def _plate_label(edge: Edge) -> str:
    caption = (_font(edge.caption, look.SMALL_SIZE, look.GREY),) if edge.caption else ()
    return _rows(*((_trigger(edge),) if edge.title else ()), *caption)


def _trigger(edge: Edge) -> str:
    trigger = _font(edge.title, look.TRIGGER_SIZE, look.COLOURS[edge.tone], bold=True)
    badges = "".join(
        f'<td width="3"></td><td border="1" style="rounded" color="{look.BADGE}" cellpadding="2">'
        f"{_font(badge, look.BADGE_SIZE, look.BADGE)}</td>"
        for badge in edge.badges
    )
    if not badges:
        return trigger
    row = f"<tr><td>{trigger}</td>{badges}</tr>"
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="0">{row}</table>'
