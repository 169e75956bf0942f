"""The model of job, stages and tasks, explored to its end; and that it notices whatever is taken out of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from coremachine.statemachine.lifecycle import Edge, Lifecycle
from tests.model.actions import Action
from tests.model.apply import after
from tests.model.explore import DIFFERS, explore
from tests.model.mutated import edges, without
from tests.model.outcomes import Arrival
from tests.model.rules import RULES, dropping
from tests.model.state import World

WORLDS = {
    "2 stages, 3 tasks, 2 workers": World(),
    "finish_siblings": World(policy="finish_siblings", losses=False),
    "cancelled and resumed": World(tasks=2, cancels=1, resumes=1, losses=False),
    "a required finalizer fails": World(tasks=1, resumes=1, finalizer_fails=True, policy="finish_siblings"),
    "past its deadline": World(tasks=1, deadline=True, stuck=True, cancels=1, resumes=1, losses=False),
    "stuck until its timeout": World(stages=1, tasks=2, deadline=True, timeouts=True, stuck=True, losses=False),
    "batches": World(stages=1, tasks=3, batches=True, losses=False, callback=False),
    "batches, finish_siblings": World(
        stages=1, tasks=2, batches=True, cancels=1, policy="finish_siblings", losses=False, callback=False
    ),
    "batches, two stages": World(tasks=2, batches=True, losses=False, callback=False),
    "batches, timeouts": World(stages=1, tasks=2, batches=True, timeouts=True, losses=False, callback=False),
}
PAIR = World(stages=1, tasks=2, batches=True, losses=False, callback=False)
SMALL = (
    World(stages=1, tasks=1, timeouts=True, stuck=True, losses=False),
    World(stages=1, tasks=1, deadline=True, stuck=True, resumes=1, losses=False, workers=1),
    World(tasks=2, policy="finish_siblings", losses=False),
    World(tasks=1, cancels=1, resumes=1, finalizer_fails=True, workers=1),
    World(stages=1, tasks=2, deadline=True, stuck=True, cancels=1, losses=False, workers=1),
    World(stages=1, tasks=2, cancels=1, resumes=1, losses=False),
)
"""In the order of their sizes: what is wrong shows in a second in one of the first."""
EDGES = list(edges())
UNTRUE = {"counters", "closed early", "false success", "part of its results"}


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
    assert found_in(lambda world: replace(world, dropped=dropping(rule), batches="distinct" in dropping(rule)))


def test_without_distinct_decisions_only_the_database_keeps_a_job_from_ending_with_part_of_its_results() -> None:
    dropped = replace(PAIR, dropped=frozenset({"distinct"}), beyond=True)
    assert DIFFERS in (found := set(explore(dropped).found))
    assert not found & UNTRUE
    neither = replace(dropped, dropped=dropping("counted by trigger"))
    assert set(explore(neither).found) >= UNTRUE


@pytest.mark.parametrize("late_first", [True, False])
def test_a_worker_that_rescued_itself_ends_a_stage_with_a_task_undone_where_both_rules_are_dropped(
    late_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The late outcome of the first lease meets the outcome of the second, and the other task is still queued."""
    outcomes = [Arrival(0, 0, "completed", current=False), Arrival(0, 0, "completed", worker=0)]
    batch = Action("settle batch", batch=tuple(outcomes if late_first else outcomes[::-1]))
    way = [
        *(Action("claim message", 0), Action("see", 0), Action("handle", 0), Action("claim task", 0, 0, 0)),
        *(
            Action("expire task", stage=0, task=0),
            Action("rescue task", stage=0, task=0),
            Action("claim task", 0, 0, 0),
        ),
        batch,
    ]
    neither = dropping("counted by trigger")
    assert [gone(frozenset(), way), gone(frozenset({"distinct"}), way)] == [("processing", 1, "queued")] * 2
    assert gone(frozenset({"counted by trigger"}), way) == ("processing", 1, "queued")
    assert gone(neither, way) == ("completed", 2, "queued")


def gone(dropped: frozenset[str], way: list[Action]) -> tuple[str, int, str]:
    """How the stage stands after `way`, how many completed tasks it counts, and how its second task stands."""
    world = replace(PAIR, dropped=dropped)
    state = world.start()
    for action in way:
        state = after(world, state, action)
    return state.stages[0].status, state.stages[0].completed, state.tasks[0][1].status


@pytest.mark.parametrize(("lifecycle", "edge"), EDGES, ids=named)
def test_without_an_edge_something_goes_wrong(lifecycle: Lifecycle, edge: Edge) -> None:
    assert found_in(lambda world: replace(world, lifecycles=without(edge, lifecycle)))


def test_without_the_post_nobody_comes_but_the_reconciler() -> None:
    lost = World(tasks=1, dropped=frozenset({"post"}), beyond=True)
    assert set(explore(lost).found) == {"no owner"}
    assert set(explore(replace(lost, redrives=False)).found) == {"no owner", "no progress"}


def test_the_reconciler_finds_nothing_to_close_or_to_send_for_where_the_rules_hold() -> None:
    for world in SMALL:
        assert not {"repost", "close counted"} & explore(world).done


def test_a_lease_that_nobody_takes_over_is_seen_as_no_progress() -> None:
    report = explore(replace(SMALL[3], dropped=frozenset({"rescue"})))
    assert "crash" in report.found["no progress"]


def test_without_a_limit_of_time_a_stuck_handler_holds_its_job_for_ever() -> None:
    assert set(explore(World(stages=1, tasks=1, stuck=True)).found) == {"no progress"}


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
