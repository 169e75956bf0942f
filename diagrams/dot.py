"""A neutral graph as DOT. Deterministic: the same graph gives the same text, byte for byte."""

from contextlib import AbstractContextManager
from html import escape
from itertools import pairwise
from typing import Protocol, cast

import graphviz  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from . import graphviz_style as style
from .graph import Arrow, Graph, Group, Node


class _Drawing(Protocol):
    """The part of `graphviz.Digraph` that is used here; the package comes without types."""

    @property
    def source(self) -> str: ...
    def attr(self, kw: str | None = None, /, **attributes: str) -> None: ...
    def node(self, name: str, label: str, /, **attributes: str) -> None: ...
    def edge(self, tail: str, head: str, /, **attributes: str) -> None: ...
    def subgraph(self, *, name: str | None = None) -> AbstractContextManager["_Drawing"]: ...


def to_dot(graph: Graph) -> str:
    """The DOT source of `graph` with its styles. Any Graphviz from version 2.40 on can draw it."""
    picture = cast("_Drawing", graphviz.Digraph(graph.name))  # pyright: ignore[reportUnknownMemberType]
    picture.attr("graph", **style.page(graph.direction), label=_title(graph))
    picture.attr("node", **style.NODE)
    picture.attr("edge", **style.EDGE)
    for group in graph.groups:
        with picture.subgraph(name=f"cluster_{group.key}") as frame:
            frame.attr("graph", **style.GROUP, label=_group_label(group))
            _add_column(frame, [node for node in graph.nodes if node.group == group.key])
    for node in graph.nodes:
        if not node.group:
            _add_node(picture, node)
    for number, edge in _balanced(graph.edges):
        _add_edge(picture, graph, edge, f"Edge_{number:02}")
    return picture.source


def _balanced(edges: tuple[Arrow, ...]) -> tuple[tuple[int, Arrow], ...]:
    """The plain arrows in the middle, the others alternately on either side: dot starts with the given order."""
    numbered = list(enumerate(edges, start=1))
    plain = [pair for pair in numbered if pair[1].tone == "plain"]
    others = [pair for pair in numbered if pair[1].tone != "plain"]
    return (*others[::2], *plain, *others[1::2])


def _add_column(frame: _Drawing, nodes: list[Node]) -> None:
    """Nodes of one rank, the first on top. Invisible lines keep this order: dot would rank them from the bottom."""
    with frame.subgraph() as column:
        column.attr(rank="same")
        for node in nodes:
            _add_node(column, node)
        for above, below in pairwise(nodes):
            column.edge(below.key, above.key, style="invis")


def _add_node(picture: _Drawing, node: Node) -> None:
    label = "" if node.kind in {"start", "join", "end"} else _node_label(node)
    picture.node(node.key, label, tooltip=_plain(node.title or node.kind), **style.node(node))


def _add_edge(picture: _Drawing, graph: Graph, edge: Arrow, key: str) -> None:
    """An arrow with text is two lines with a label box between them, so that no text overlaps another line.

    An arrow that leads back is declared in the other direction and drawn with its head at the other end: dot then has
    no cycle to break, and ranks the states in the order in which a record passes through them.
    """
    line = style.line(edge)
    if not (edge.title or edge.caption):
        picture.edge(edge.source, edge.target, **line, weight=style.weight(edge))
        return
    box = style.label_box(edge.tone) if edge.title else style.BARE_LABEL
    picture.node(key, _edge_label(edge), tooltip=_plain(_tooltip(edge)), **box)
    if graph.leads_back(edge):
        picture.edge(edge.target, key, dir="back", weight=style.weight(edge, near=True), **line)
        picture.edge(key, edge.source, dir="none", weight=style.weight(edge), **line)
    else:
        picture.edge(edge.source, key, dir="none", weight=style.weight(edge, near=True), **line)
        picture.edge(key, edge.target, weight=style.weight(edge), **line)


def _tooltip(edge: Arrow) -> str:
    return f"{edge.title or edge.caption}: {edge.text}" if edge.text else edge.title or edge.caption


def _plain(text: str) -> str:
    """Text in which no backslash or enclosing bracket has a meaning to Graphviz."""
    return str(graphviz.escape(text))  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]


def _font(text: str, size: int, colour: str, *, bold: bool = False) -> str:
    content = f"<b>{escape(text)}</b>" if bold else escape(text)
    return f'<font point-size="{size}" color="{colour}">{content}</font>'


def _rows(*rows: str, align: str = "center") -> str:
    cells = "".join(f'<tr><td align="{align}">{row}</td></tr>' for row in rows)
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="1">{cells}</table>>'


def _title(graph: Graph) -> str:
    title = _font(graph.title, style.TITLE_SIZE, style.INK, bold=True)
    text = (_font(graph.text, style.TEXT_SIZE, style.GREY),) if graph.text else ()
    return _rows(title, *text, "&nbsp;", align="left")


def _group_label(group: Group) -> str:
    captions = (_font(caption, style.SMALL_SIZE, style.GREY) for caption in group.captions)
    return _rows(_font(group.title, style.TRIGGER_SIZE, style.INK, bold=True), *captions)


def _node_label(node: Node) -> str:
    captions = (_font(caption, style.SMALL_SIZE, style.GREY) for caption in node.captions)
    return _rows(_font(node.title, style.node_size(node), style.INK, bold=True), *captions)


def _edge_label(edge: Arrow) -> str:
    caption = (_font(edge.caption, style.SMALL_SIZE, style.GREY),) if edge.caption else ()
    return _rows(*((_trigger(edge),) if edge.title else ()), *caption)


def _trigger(edge: Arrow) -> str:
    trigger = _font(edge.title, style.TRIGGER_SIZE, style.COLOURS[edge.tone], bold=True)
    badges = "".join(
        f'<td width="3"></td><td border="1" style="rounded" color="{style.BADGE}" cellpadding="2">'
        f"{_font(badge, style.BADGE_SIZE, style.BADGE)}</td>"
        for badge in edge.badges
    )
    if not badges:
        return trigger
    row = f"<tr><td>{trigger}</td>{badges}</tr>"
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="0">{row}</table>'
