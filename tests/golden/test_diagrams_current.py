"""The pictures in docs/diagrams say what is declared.

DOT is compared byte for byte. SVG differs between versions of Graphviz, so of it every word is looked for.
"""

from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from coremachine.diagrams import lifecycle_graph, render
from coremachine.statemachine.lifecycle import Lifecycle
from coremachine.statemachine.lifecycles import LIFECYCLES

PICTURES = Path(__file__).parents[2] / "docs" / "diagrams"
REMEDY = "run: python -m coremachine.diagrams all --format {0} -o docs/diagrams"
every_lifecycle = pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.name)


def words(lifecycle: Lifecycle) -> set[str]:
    states = {state.name for state in lifecycle.states}
    triggers = {transition.trigger for transition in lifecycle.transitions}
    gaps = {gap.id for transition in lifecycle.transitions for gap in transition.gap_checks}
    return states | triggers | gaps | lifecycle.event_types


@every_lifecycle
def test_the_dot_in_the_docs_is_current(lifecycle: Lifecycle) -> None:
    committed = (PICTURES / f"{lifecycle.name}.dot").read_bytes()
    assert committed == render(lifecycle_graph(lifecycle), "dot"), REMEDY.format("dot")


@every_lifecycle
def test_the_svg_in_the_docs_shows_every_state_trigger_event_and_gap(lifecycle: Lifecycle) -> None:
    svg = ET.fromstring((PICTURES / f"{lifecycle.name}.svg").read_text())  # noqa: S314  (a file of ours)
    shown = {unescape(text.text or "") for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert words(lifecycle) - shown == set(), REMEDY.format("svg")


@every_lifecycle
def test_the_svg_in_the_docs_shows_nothing_else_than_is_drawn_today(lifecycle: Lifecycle) -> None:
    def texts(source: bytes) -> list[str]:
        svg = ET.fromstring(source)  # noqa: S314  (made by ourselves)
        words = ((text.text or "").strip() for text in svg.iter("{http://www.w3.org/2000/svg}text"))
        return sorted(word for word in words if word)

    committed = (PICTURES / f"{lifecycle.name}.svg").read_bytes()
    assert texts(committed) == texts(render(lifecycle_graph(lifecycle), "svg")), REMEDY.format("svg")
