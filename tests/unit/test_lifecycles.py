"""The lifecycles of CoreMachine, spelled out by hand once, so that an edge lost or gained in them is noticed."""

from collections import Counter
from itertools import pairwise

import pytest

from coremachine.statemachine.errors import DefinitionError, ReplayError
from coremachine.statemachine.lifecycle import Lifecycle
from coremachine.statemachine.lifecycles import CALLBACK, HEADLINES, JOB, LIFECYCLES, NOTES, STAGE, TASK

EDGES = {
    JOB: {
        ("queued", "start", "processing"),
        ("queued", "fail", "failed"),
        ("queued", "cancel", "cancelled"),
        ("processing", "complete", "completed"),
        ("processing", "fail", "failed"),
        ("processing", "cancel", "cancelled"),
        ("failed", "resume", "queued"),
        ("cancelled", "resume", "queued"),
    },
    STAGE: {
        ("pending", "open", "processing"),
        ("pending", "skip", "cancelled"),
        ("processing", "complete", "completed"),
        ("processing", "fail", "failed"),
        ("processing", "cancel", "cancelled"),
        ("failed", "resume", "pending"),
        ("cancelled", "resume", "pending"),
    },
    TASK: {
        ("queued", "claim", "processing"),
        ("queued", "cancel", "cancelled"),
        ("processing", "complete", "completed"),
        ("processing", "fail", "failed"),
        ("processing", "cancel", "cancelled"),
        ("processing", "retry", "queued"),
        ("processing", "release", "queued"),
        ("processing", "rescue", "queued"),
        ("failed", "resume", "queued"),
        ("cancelled", "resume", "queued"),
    },
    CALLBACK: {
        ("queued", "claim", "processing"),
        ("processing", "complete", "completed"),
        ("processing", "fail", "failed"),
        ("processing", "retry", "queued"),
        ("processing", "release", "queued"),
        ("processing", "rescue", "queued"),
    },
}

STATES = {
    JOB: {"queued", "processing", "completed", "failed", "cancelled"},
    STAGE: {"pending", "processing", "completed", "failed", "cancelled"},
    TASK: {"queued", "processing", "completed", "failed", "cancelled"},
    CALLBACK: {"queued", "processing", "completed", "failed"},
}


def named(lifecycle: object) -> str:
    return lifecycle.name if isinstance(lifecycle, Lifecycle) else str(lifecycle)


each_lifecycle = pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=named)


@each_lifecycle
def test_the_edges_are_those_of_the_design_and_no_others(lifecycle: Lifecycle) -> None:
    declared = [(edge.source, edge.transition.trigger, edge.target) for edge in lifecycle.edges]
    assert set(declared) == EDGES[lifecycle]
    assert len(declared) == len(EDGES[lifecycle])
    assert set(lifecycle.by_name) == STATES[lifecycle]


@each_lifecycle
def test_the_marks_are_those_of_the_design(lifecycle: Lifecycle) -> None:
    assert lifecycle.initial.name == ("pending" if lifecycle is STAGE else "queued")
    ended = {state.name for state in lifecycle.states if state.terminal}
    assert ended == {"completed", "failed", "cancelled"} & STATES[lifecycle]
    leased = {state.name for state in lifecycle.states if state.leased}
    assert leased == ({"processing"} if lifecycle in (TASK, CALLBACK) else set())
    assert {state.name for state in lifecycle.states if state.failure} == ended - {"completed"}


@each_lifecycle
def test_no_move_stays_where_it_is(lifecycle: Lifecycle) -> None:
    assert not [pair for pair in lifecycle.legal_pairs if pair[0] == pair[1]]


@pytest.mark.parametrize("lifecycle", [JOB, STAGE, TASK], ids=named)
def test_what_has_ended_goes_on_only_by_resume_and_what_is_done_never(lifecycle: Lifecycle) -> None:
    assert lifecycle.triggers_from("completed") == ()
    assert lifecycle.triggers_from("failed") == lifecycle.triggers_from("cancelled") == ("resume",)


def test_the_headline_events_are_the_ten_of_the_design() -> None:
    assert set(HEADLINES) == {
        "job_created",
        "job_queued",
        "stage_started",
        "task_started",
        "task_completed",
        "task_failed",
        "stage_completed",
        "job_completed",
        "job_failed",
        "callback_executed",
    }
    assert len(HEADLINES) == 10


def test_every_headline_is_written_by_a_transition_or_a_note() -> None:
    written = {event for lifecycle in LIFECYCLES for event in lifecycle.event_types}
    assert set(HEADLINES) <= written | {note.type for note in NOTES}


def test_every_event_type_belongs_to_one_lifecycle_and_no_note_is_a_transition() -> None:
    owners = Counter(event for lifecycle in LIFECYCLES for event in lifecycle.event_types)
    owners.update({note.type for note in NOTES})
    assert len(set(NOTES)) == len(NOTES)
    assert [event for event, times in owners.items() if times > 1] == []


@each_lifecycle
def test_bad_news_is_told_as_a_failure_and_what_somebody_should_see_as_a_warning(lifecycle: Lifecycle) -> None:
    for edge in lifecycle.edges:
        if edge.target == "failed":
            assert edge.transition.event.status == "failure"
        elif edge.target in {"completed", "processing"}:
            assert edge.transition.event.status in {"success", "info"}
        else:
            assert edge.transition.event.status == "warning"


def test_only_a_job_tells_of_its_creation() -> None:
    assert [lifecycle.created and lifecycle.created.type for lifecycle in LIFECYCLES] == [
        "job_created",
        None,
        None,
        None,
    ]


@each_lifecycle
def test_replay_follows_every_edge(lifecycle: Lifecycle) -> None:
    for first, second in pairwise((*lifecycle.edges, *lifecycle.edges)):
        if first.source == lifecycle.initial.name:
            assert lifecycle.replay([first.transition.event.type]) == first.target
            if first.target == second.source:
                events = [first.transition.event.type, second.transition.event.type]
                assert lifecycle.replay(events) == second.target


def test_replay_of_nothing_is_the_initial_state() -> None:
    assert [lifecycle.replay([]) for lifecycle in LIFECYCLES] == ["queued", "pending", "queued", "queued"]


def test_replay_folds_a_history_with_a_retry_and_a_resume() -> None:
    history = ["task_started", "task_retry_scheduled", "task_started", "task_failed", "task_resumed", "task_started"]
    assert TASK.replay(history) == "processing"
    assert JOB.replay(["job_created", "job_started", "job_failed", "job_resumed", "job_started"]) == "processing"


def test_replay_refuses_the_first_event_that_does_not_follow() -> None:
    with pytest.raises(ReplayError, match="task: event 1 is task_started, which does not leave processing") as refused:
        TASK.replay(["task_started", "task_started"])
    error = refused.value
    assert (error.machine, error.state, error.event_type, error.position) == ("task", "processing", "task_started", 1)


def test_a_creation_counts_only_as_the_first_event() -> None:
    with pytest.raises(ReplayError) as refused:
        JOB.replay(["job_created", "job_started", "job_created"])
    assert refused.value.position == 2


def test_a_trigger_that_is_not_declared_fails_where_it_is_named() -> None:
    assert TASK.trigger("retry") == "retry"
    with pytest.raises(DefinitionError, match=r"task: no trigger 'retyr'; declared are cancel, claim, .*retry"):
        TASK.trigger("retyr")
