"""Lifecycles as SVG: the generated diagrams, with states lit, counted, and linked to the jobs that are in them."""

import asyncio
import re
from collections.abc import Mapping
from functools import cache
from html import escape

from ....diagrams.export import render
from ....diagrams.graph import lifecycle_graph
from ....statemachine.lifecycle import Lifecycle
from ...app import AsyncCoreMachine
from ..problems import NotThereError

NODE = re.compile(r'<g id="node\d+" class="node">\s*<title>([^<]*)</title>(.*?)</g>\s*</g>', re.DOTALL)
SVG = re.compile(r"<svg .*</svg>", re.DOTALL)
SIZE = re.compile(r'<svg width="[^"]*" height="[^"]*"')
PILL, DIGIT = 12, 8
POINT = re.compile(r"(-?[\d.]+),(-?[\d.]+)")


def known_lifecycles(machine: AsyncCoreMachine) -> dict[str, Lifecycle]:
    """The lifecycles of CoreMachine, and those of the records of one's own."""
    return {record.lifecycle.name: record.lifecycle for record in machine.schema.records}


async def picture(
    lifecycle: Lifecycle, *, lit: str | None = None, counts: Mapping[str, int] | None = None, link: str | None = None
) -> str:
    """The diagram as an `svg` element. Raises DrawError where there is no Graphviz.

    The state `lit` has the class of that name; `counts` stand at the states, and `link` with a state's name in place of
    `{}` leads from it to what is in it.
    """
    drawn = await asyncio.to_thread(_drawn, lifecycle)

    def state(found: re.Match[str]) -> str:
        name = found[1]
        if name not in lifecycle.by_name:
            return found[0]
        return _state(
            found[0], name, lit=name == lit, number=None if counts is None else counts.get(name, 0), link=link
        )

    return NODE.sub(state, drawn)


def lifecycle_of(machine: AsyncCoreMachine, name: str) -> Lifecycle:
    """The lifecycle of that name. Raises NotThereError."""
    known = known_lifecycles(machine)
    if name not in known:
        raise NotThereError("name", f"there is no lifecycle {name}", f"there are {', '.join(known)}")
    return known[name]


@cache
def _drawn(lifecycle: Lifecycle) -> str:
    text = render(lifecycle_graph(lifecycle), "svg").decode()
    element = SVG.search(text)
    # a group and no image: there are links in it
    opening = f'<svg class="lifecycle" role="group" aria-label="Lifecycle of a {escape(lifecycle.name)}"'
    return SIZE.sub(opening, element[0] if element else "", count=1)


def _state(node: str, name: str, *, lit: bool, number: int | None, link: str | None) -> str:
    if lit:
        node = node.replace('class="node"', 'class="node lit"', 1)
    if number is not None:
        node = node.removesuffix("</g>") + f"{_badge(node, number)}</g>"
    if link:
        node = f'<a href="{escape(link.format(name))}">{node}</a>'
    return node


def _badge(node: str, number: int) -> str:
    """The number of rows in a state, over the upper right corner of its box."""
    places = [(float(x), float(y)) for x, y in POINT.findall(node.partition(' d="')[2].partition('"')[0])]
    if not places:
        return ""
    x, y = max(place[0] for place in places), min(place[1] for place in places)
    words = f"{number:,}"
    width = PILL + DIGIT * len(words)
    pill = f'<rect class="pill" x="{x - width + 7:.1f}" y="{y - 9:.1f}" width="{width}" height="18" rx="9"/>'
    text = f'<text class="count" x="{x - width / 2 + 7:.1f}" y="{y + 4:.1f}">{words}</text>'
    return f'<g class="number{"" if number else " none"}">{pill}{text}</g>'
