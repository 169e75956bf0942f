import re

import pytest

from coremachine.diagrams import lifecycle_graph
from coremachine.diagrams.dot import to_dot
from coremachine.diagrams.graph import Arrow, Graph, Node
from coremachine.diagrams.graphviz_style import COLOURS, STYLES
from coremachine.statemachine.lifecycle import Edge, Event, Lifecycle, State, Transition
from coremachine.statemachine.lifecycles import JOB, LIFECYCLES, TASK

APPROVAL = Lifecycle(
    "approval",
    states=(
        State(name="pending", initial=True, waits_for="a person"),
        State(name="approved", terminal=True),
        State(name="edge_01", terminal=True, failure=True),
    ),
    transitions=(
        Transition(trigger="approve", sources=("pending",), target="approved", event=Event("approved")),
        Transition(trigger="revoke", sources=("approved",), target="edge_01", event=Event("revoked", "failure")),
    ),
)
EVERY_EDGE = [(lifecycle, edge) for lifecycle in LIFECYCLES for edge in lifecycle.edges]


def statement(dot: str, key: str) -> str:
    return next(line.strip() for line in dot.splitlines() if re.match(rf"\s*{key} \[", line))


@pytest.mark.parametrize(("lifecycle", "edge"), EVERY_EDGE)
def test_every_edge_leads_from_its_source_over_its_words_to_its_target(
    lifecycle: Lifecycle,
    edge: Edge,
) -> None:
    dot = to_dot(lifecycle_graph(lifecycle))
    plate = f"Edge_{lifecycle.edges.index(edge) + 2:02}"
    label = statement(dot, plate)
    assert f"<b>{edge.transition.trigger}</b>" in label
    assert f">{edge.transition.event.type}</font>" in label
    assert re.findall(r"GAP-\d", label) == [gap.id for gap in edge.transition.gap_checks]
    heads = re.findall(rf"(\w+) -> {plate} \[(.*)]|{plate} -> (\w+) \[(.*)]", dot)
    tail, towards, head, onwards = (group for match in heads for group in match if group)
    if "dir=back" in towards:
        assert ("dir=none" in onwards, head, tail) == (True, edge.source, edge.target)
    else:
        assert ("dir=none" in towards, tail, head) == (True, edge.source, edge.target)


def test_failures_and_warnings_differ_by_dash_as_well_as_by_colour() -> None:
    assert len(set(STYLES.values())) == len(set(COLOURS.values())) == 3
    dot = to_dot(lifecycle_graph(JOB))
    lines = {tuple(re.findall(r'color="(#\w+)".*style=(\w+)', line)) for line in dot.splitlines() if "->" in line}
    assert lines == {((COLOURS[tone], STYLES[tone]),) for tone in COLOURS}


def test_the_initial_state_follows_a_dot_and_terminal_states_have_a_double_border() -> None:
    dot = to_dot(lifecycle_graph(TASK))
    assert re.search(r"\tStart -> queued ", dot)
    doubled = {state.name for state in TASK.states if "peripheries=2" in statement(dot, state.name)}
    assert doubled == {state.name for state in TASK.states if state.terminal}


def test_a_leased_state_says_so_and_until_when() -> None:
    assert ">leased until lease_expires_at<" in statement(to_dot(lifecycle_graph(TASK)), "processing")


def test_the_event_of_creation_stands_on_the_first_arrow() -> None:
    assert ">job_created<" in statement(to_dot(lifecycle_graph(JOB)), "Edge_01")


def test_a_lifecycle_of_the_users_own_is_drawn_and_no_state_is_taken_for_an_arrow() -> None:
    dot = to_dot(lifecycle_graph(APPROVAL))
    assert "<b>edge_01</b>" in statement(dot, "edge_01")
    assert "<b>approve</b>" in statement(dot, "Edge_02")
    assert "approved -> Edge_03 " in dot


def test_the_same_declaration_gives_the_same_bytes() -> None:
    assert to_dot(lifecycle_graph(TASK)) == to_dot(lifecycle_graph(TASK))


def test_text_that_looks_like_markup_is_shown_as_it_is() -> None:
    nodes = (Node(key="a", title="<b> & \\N", kind="state"), Node(key="b", title="b", kind="state"))
    edges = (Arrow(source="a", target="b", title="x<y", text='say "\\N"'),)
    dot = to_dot(Graph(name="odd", title="a > b", nodes=nodes, edges=edges))
    assert "&lt;b&gt; &amp; \\N" in statement(dot, "a")
    assert '"x<y: say \\"\\\\N\\""' in statement(dot, "Edge_01")
    assert "a &gt; b" in dot
