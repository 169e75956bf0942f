"""The model of job, stages and tasks, explored to its end; and that it notices whatever is taken out of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from coremachine.statemachine.lifecycle import Edge, Lifecycle
from tests.model.explore import explore
from tests.model.mutated import edges, without
from tests.model.rules import RULES
from tests.model.state import World

WORLDS = {
    "2 stages, 3 tasks, 2 workers": World(),
    "finish_siblings": World(policy="finish_siblings", losses=False),
    "cancelled and resumed": World(tasks=2, cancels=1, resumes=1, losses=False),
    "a required finalizer fails": World(tasks=1, resumes=1, finalizer_fails=True, policy="finish_siblings"),
}
SMALL = (
    World(tasks=2, policy="finish_siblings", losses=False),
    World(tasks=1, cancels=1, resumes=1, finalizer_fails=True, workers=1),
    World(stages=1, tasks=2, cancels=1, resumes=1, losses=False),
)
EDGES = list(edges())
NEVER_FIRED = {("job", "fail", "queued")}
"""What is declared, and nothing in the flow does."""


def named(one: object) -> str:
    if isinstance(one, Edge):
        return f"{one.transition.trigger}-{one.source}"
    return one.name if isinstance(one, Lifecycle) else str(one)


@pytest.mark.parametrize("name", WORLDS)
def test_no_state_is_wrong_and_each_can_come_to_its_end(name: str) -> None:
    report = explore(WORLDS[name])
    print(f"{name}: {report}")  # noqa: T201 - the count is part of the proof
    assert report.complete
    assert not report.found, str(report)


@pytest.mark.parametrize("rule", RULES)
def test_without_a_rule_of_the_flow_something_goes_wrong(rule: str) -> None:
    assert found_in(lambda world: replace(world, dropped=frozenset({rule}))), RULES[rule]


@pytest.mark.parametrize(("lifecycle", "edge"), EDGES, ids=named)
def test_without_an_edge_something_goes_wrong(lifecycle: Lifecycle, edge: Edge) -> None:
    found = found_in(lambda world: replace(world, lifecycles=without(edge, lifecycle)))
    assert bool(found) != ((lifecycle.name, edge.transition.trigger, edge.source) in NEVER_FIRED)


def test_without_the_post_nobody_comes_but_the_reconciler() -> None:
    lost = World(tasks=1, dropped=frozenset({"post"}), beyond=True)
    assert set(explore(lost).found) == {"no owner"}
    assert set(explore(replace(lost, redrives=False)).found) == {"no owner", "no progress"}


def test_the_reconciler_finds_nothing_to_close_or_to_send_for_where_the_rules_hold() -> None:
    for world in SMALL:
        assert not {"repost", "close counted"} & explore(world).done


def test_a_lease_that_nobody_takes_over_is_seen_as_no_progress() -> None:
    report = explore(replace(SMALL[1], dropped=frozenset({"rescue"})))
    assert "crash" in report.found["no progress"]


def test_exploring_up_to_a_limit_says_that_there_is_more() -> None:
    report = explore(World(), limit=100)
    assert not report.complete
    assert "there are more" in str(report)


def found_in(mutated: Callable[[World], World]) -> dict[str, str]:
    """What the first of the small worlds shows in which something is wrong."""
    for world in SMALL:
        report = explore(mutated(world), until="*")
        if report.found:
            return report.found
    return {}
