import re

import pytest

from coremachine.diagrams import JobShape, StageShape, lifecycle_graph, shape_graph
from coremachine.diagrams.graph import Arrow, Graph, Node
from coremachine.diagrams.mermaid import to_mermaid
from coremachine.statemachine.lifecycle import Lifecycle
from coremachine.statemachine.lifecycles import LIFECYCLES, TASK


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.name)
def test_every_edge_is_written_with_trigger_guards_and_event(lifecycle: Lifecycle) -> None:
    text = to_mermaid(lifecycle_graph(lifecycle))
    written = re.findall(r"^    (\w+) --> (\w+): (\w+)(?: \[(.*)])? / (\w+)$", text, re.MULTILINE)
    assert written == [
        (
            edge.source,
            edge.target,
            edge.transition.trigger,
            ", ".join(gap.id for gap in edge.transition.gap_checks),
            edge.transition.event.type,
        )
        for edge in lifecycle.edges
    ]


def test_initial_and_terminal_states_meet_the_star_and_leased_and_failed_ones_have_a_class() -> None:
    text = to_mermaid(lifecycle_graph(TASK))
    assert text.startswith('---\ntitle: "Task lifecycle"\n---\nstateDiagram-v2\n')
    assert "    [*] --> queued\n" in text
    assert set(re.findall(r"(\w+) --> \[\*]", text)) == {"completed", "failed", "cancelled"}
    assert set(re.findall(r"    class (\w+) (\w+)", text)) == {
        ("processing", "leased"),
        ("failed", "failure"),
        ("cancelled", "failure"),
    }


def test_a_word_that_mermaid_reserves_is_still_a_state() -> None:
    nodes = (Node(key="Start", title="", kind="start"), Node(key="end", title='the "end"; or #1', kind="state"))
    text = to_mermaid(Graph(name="x", title="x", nodes=nodes, edges=(Arrow(source="Start", target="end"),)))
    assert '    state "the #quot;end#quot;#59; or #35;1" as end_\n' in text
    assert "    [*] --> end_\n" in text


def test_a_job_is_a_flowchart_with_a_frame_around_each_fan_out() -> None:
    stages = (StageShape("plan", "cut", "single"), StageShape("shade", "shade", "each", "plan"))
    text = to_mermaid(shape_graph(JobShape("raster", stages, callback="notify")))
    assert "flowchart LR\n" in text
    assert '    subgraph stage_2 ["2  shade · a task for each item of plan"]\n' in text
    assert '    stage_1["1  plan · cut · one task"]\n' in text
    assert "    stage_1 --> stage_2_1\n" in text
    assert "    stage_2_n --> end_\n" in text
    assert "    end_ -.-> callback\n" in text
