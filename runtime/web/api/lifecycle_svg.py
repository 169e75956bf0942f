"""Lifecycle diagrams as SVG, with a highlighted state, a count at each state, and links to the jobs in it."""

import asyncio
import re
from collections.abc import Mapping
from functools import cache
from html import escape

from ....diagrams.export import render
from ....diagrams.graph import lifecycle_graph
from ....statemachine.lifecycle import Lifecycle
from ...app import AsyncCoreMachine
from ..problems import NotFoundError

NODE_PATTERN = re.compile(r'<g id="node\d+" class="node">\s*<title>([^<]*)</title>(.*?)</g>\s*</g>', re.DOTALL)
SVG_PATTERN = re.compile(r"<svg .*</svg>", re.DOTALL)
SIZE_PATTERN = re.compile(r'<svg width="[^"]*" height="[^"]*"')
BADGE_PADDING, DIGIT_WIDTH = 12, 8
POINT_PATTERN = re.compile(r"(-?[\d.]+),(-?[\d.]+)")


def lifecycles_by_name(machine: AsyncCoreMachine) -> dict[str, Lifecycle]:
    """The lifecycles of CoreMachine and of the user's own records."""
    return {record.lifecycle.name: record.lifecycle for record in machine.schema.records}


async def render_lifecycle(
    lifecycle: Lifecycle,
    *,
    highlight: str | None = None,
    counts: Mapping[str, int] | None = None,
    link: str | None = None,
) -> str:
    """The diagram as an `svg` element. Raises DrawError if Graphviz is not available.

    `highlight` names the state to highlight. `counts` are drawn at the states. `link` is a URL with `{}` in place of
    the state's name.
    """
    svg = await asyncio.to_thread(_base_svg, lifecycle)

    def state(found: re.Match[str]) -> str:
        name = found[1]
        if name not in lifecycle.by_name:
            return found[0]
        return _decorate_node(
            found[0],
            name,
            highlight=name == highlight,
            count=None if counts is None else counts.get(name, 0),
            link=link,
        )

    return NODE_PATTERN.sub(state, svg)


def find_lifecycle(machine: AsyncCoreMachine, name: str) -> Lifecycle:
    """The lifecycle with this name. Raises NotFoundError."""
    known = lifecycles_by_name(machine)
    if name not in known:
        raise NotFoundError("name", f"no lifecycle is called {name}", f"known lifecycles: {', '.join(known)}")
    return known[name]


@cache
def _base_svg(lifecycle: Lifecycle) -> str:
    text = render(lifecycle_graph(lifecycle), "svg").decode()
    element = SVG_PATTERN.search(text)
    # role group, not img: an image must not contain links
    opening = f'<svg class="lifecycle" role="group" aria-label="Lifecycle of a {escape(lifecycle.name)}"'
    return SIZE_PATTERN.sub(opening, element[0] if element else "", count=1)


def _decorate_node(node: str, name: str, *, highlight: bool, count: int | None, link: str | None) -> str:
    if highlight:
        node = node.replace('class="node"', 'class="node highlight"', 1)
    if count is not None:
        node = node.removesuffix("</g>") + f"{_badge(node, count)}</g>"
    if link:
        node = f'<a href="{escape(link.format(name))}">{node}</a>'
    return node


def _badge(node: str, count: int) -> str:
    """A badge with the count, at the upper right corner of the state's box."""
    points = [(float(x), float(y)) for x, y in POINT_PATTERN.findall(node.partition(' d="')[2].partition('"')[0])]
    if not points:
        return ""
    x, y = max(point[0] for point in points), min(point[1] for point in points)
    digits = f"{count:,}"
    width = BADGE_PADDING + DIGIT_WIDTH * len(digits)
    pill = f'<rect class="pill" x="{x - width + 7:.1f}" y="{y - 9:.1f}" width="{width}" height="18" rx="9"/>'
    text = f'<text class="count" x="{x - width / 2 + 7:.1f}" y="{y + 4:.1f}">{digits}</text>'
    return f'<g class="number{"" if count else " zero"}">{pill}{text}</g>'
