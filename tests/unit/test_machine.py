"""The Python machine: what `transitions` would let pass in silence is an error here, and nothing is changed by it."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

import pytest
import transitions

from coremachine.statemachine import machine as machine_module
from coremachine.statemachine.errors import DefinitionError, GapRefusedError, IllegalMoveError, OperationError
from coremachine.statemachine.gaps import REGISTER, GapCheck
from coremachine.statemachine.lifecycle import Edge, Event, Lifecycle, State, Transition
from coremachine.statemachine.lifecycles import CALLBACK, JOB, LIFECYCLES, STAGE, TASK
from coremachine.statemachine.machine import Machine, MoveEvent, Subject, machine_of

VALUES: Mapping[str, object] = {
    "lease_number": 1,
    "delay": 0.0,
    "result": "{}",
}
DATA: Mapping[str, object] = {
    "error": {"message": "boom"},
    "attempt": 1,
    "finalizer": "none",
    "tasks_total": 3,
    "tasks_completed": 1,
    "tasks_failed": 1,
    "tasks_cancelled": 1,
}

REFUSALS: list[tuple[str, str, Mapping[str, object], Mapping[str, object], str]] = [
    ("GAP-1", "no lease number", {"lease_number": None}, {}, "the outcome names no lease number"),
    ("GAP-1", "text for one", {"lease_number": "1"}, {}, "the outcome names no lease number"),
    ("GAP-2", "one too few", {}, {"tasks_failed": 0}, "of 3 tasks, completed, failed and cancelled are 1, 0, 1"),
    ("GAP-2", "one too many", {}, {"tasks_failed": 2}, "of 3 tasks, completed, failed and cancelled are 1, 2, 1"),
    ("GAP-2", "uncounted", {}, {"tasks_cancelled": None}, "of 3 tasks, completed, failed and cancelled are 1, 1, None"),
    ("GAP-2", "the rest adds up", {}, {"tasks_total": 2, "tasks_cancelled": None}, "of 2 tasks"),
    ("GAP-2", "no number of tasks", {}, {"tasks_total": 3.0}, "of 3.0 tasks"),
    ("GAP-2", "no total", {}, {"tasks_total": None}, "of None tasks"),
    ("GAP-3", "no error", {}, {"error": None}, "no error is given with the failure"),
    ("GAP-4", "no record", {}, {"attempt": None}, "the task's record was not found: no attempt is known"),
    ("GAP-4", "no delay", {"delay": None}, {}, "the retry names no delay"),
    ("GAP-5", "not converted", {"result": {"a": 1}}, {}, "the result has not been converted to JSON"),
    ("GAP-5", "no result", {"result": None}, {}, "the result has not been converted to JSON"),
    ("GAP-6", "no word", {}, {"finalizer": None}, "the finalizer's outcome is None, not none, succeeded or failed"),
    ("GAP-6", "no error", {}, {"finalizer": "failed", "error": None}, "the finalizer failed, and its error is missing"),
    ("GAP-7", "no error", {}, {"error": None}, "error or attempt is missing"),
    ("GAP-7", "no attempt", {}, {"attempt": "1"}, "error or attempt is missing"),
]
CARRIERS = [
    (lifecycle, edge, gap) for lifecycle in LIFECYCLES for edge in lifecycle.edges for gap in edge.transition.gap_checks
]


def first_to_refuse(edge: Edge, values: Mapping[str, object], data: Mapping[str, object]) -> str | None:
    """The check that speaks where an edge carries several."""
    checks = edge.transition.gap_checks
    return next((gap.id for gap in checks if gap.condition({**VALUES, **values}, {**DATA, **data})), None)


CASES = [
    pytest.param(lifecycle, edge, refusal, id=f"{refusal[0]}-{refusal[1]}-{lifecycle.name}-{edge.transition.trigger}")
    for lifecycle, edge, gap in CARRIERS
    for refusal in REFUSALS
    if refusal[0] == gap.id == first_to_refuse(edge, refusal[2], refusal[3])
]


def inner(machine: Machine) -> transitions.Machine:
    """The machine of `transitions` within: its options are what these tests are about."""
    return machine._machine  # pyright: ignore[reportPrivateUsage] - nobody else may see it


def held(subject: Subject) -> tuple[str, list[MoveEvent]]:
    return subject.state, list(subject.events)


def test_a_fired_trigger_gives_the_move_to_be_written() -> None:
    subject = Subject("7-0", "queued")
    move = machine_of(TASK).fire(subject, "claim", {"lease": 15}, {"worker": "me"})
    assert (move.machine, move.trigger, move.key, move.source, move.target) == (
        "task",
        "claim",
        "7-0",
        "queued",
        "processing",
    )
    assert move.event == MoveEvent("task_started", "success", {"worker": "me"})
    assert move.values == {"lease": 15}
    assert held(subject) == ("processing", [move.event])


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.name)
def test_every_trigger_fires_where_it_is_declared_and_nowhere_else(lifecycle: Lifecycle) -> None:
    machine = machine_of(lifecycle)
    legal = {(edge.source, edge.transition.trigger): edge for edge in lifecycle.edges}
    for state in lifecycle.by_name:
        for transition in lifecycle.transitions:
            subject = Subject("a key", state)
            if edge := legal.get((state, transition.trigger)):
                move = machine.fire(subject, transition.trigger, VALUES, DATA)
                assert (move.target, subject.state) == (edge.target, edge.target)
                assert move.event is not None
                assert Event(move.event.type, move.event.status) == edge.transition.event
            else:
                with pytest.raises(IllegalMoveError):
                    machine.fire(subject, transition.trigger, VALUES, DATA)
                assert held(subject) == (state, [])


def test_an_illegal_move_says_what_would_be_legal() -> None:
    words = "job abc: cannot complete from queued; legal from queued: start, fail, cancel"
    with pytest.raises(IllegalMoveError, match=words) as refused:
        machine_of(JOB).fire(Subject("abc", "queued"), "complete")
    error = refused.value
    assert (error.machine, error.key, error.state, error.trigger) == ("job", "abc", "queued", "complete")
    assert error.legal == ("start", "fail", "cancel")
    with pytest.raises(IllegalMoveError, match="legal from completed: nothing"):
        machine_of(JOB).fire(Subject("abc", "completed"), "start")


def test_a_trigger_or_state_that_nobody_declared_is_refused() -> None:
    with pytest.raises(IllegalMoveError, match="cannot explode from queued"):
        machine_of(JOB).fire(Subject("abc", "queued"), "explode")
    with pytest.raises(IllegalMoveError, match="cannot start from lost; legal from lost: nothing"):
        machine_of(JOB).fire(Subject("abc", "lost"), "start")


@pytest.mark.parametrize(("lifecycle", "edge", "refusal"), CASES)
def test_a_gap_check_refuses_by_raising_with_its_id_and_changes_nothing(
    lifecycle: Lifecycle,
    edge: Edge,
    refusal: tuple[str, str, Mapping[str, object], Mapping[str, object], str],
) -> None:
    gap, _, values, data, reason = refusal
    subject, trigger = Subject("a key", edge.source), edge.transition.trigger
    with pytest.raises(GapRefusedError) as refused:
        machine_of(lifecycle).fire(subject, trigger, {**VALUES, **values}, {**DATA, **data})
    error = refused.value
    assert (error.gap, error.machine, error.key, error.trigger) == (gap, lifecycle.name, "a key", trigger)
    assert error.reason.startswith(reason)
    assert str(error) == f"{gap} refused {lifecycle.name}.{trigger} of a key: {error.reason}"
    assert held(subject) == (edge.source, [])


@pytest.mark.parametrize("outcome", ["none", "succeeded"])
def test_a_job_completes_without_an_error_where_no_finalizer_failed(outcome: str) -> None:
    completed = machine_of(JOB).fire(Subject("abc", "processing"), "complete", VALUES, {"finalizer": outcome})
    assert completed.target == "completed"


@pytest.mark.parametrize("gap", REGISTER, ids=lambda gap: gap.id)
def test_every_gap_of_the_register_is_refused_on_some_edge_and_in_some_test(gap: GapCheck) -> None:
    assert gap in [check for _, _, check in CARRIERS]
    assert gap.id in {refusal[0] for refusal in REFUSALS}


@pytest.mark.parametrize("gap", REGISTER, ids=lambda gap: gap.id)
def test_the_place_that_enforces_a_gap_check_is_the_condition_of_the_machine(gap: GapCheck) -> None:
    module, _, attribute = gap.enforced_by.partition(":")
    assert getattr(import_module(module), attribute) is gap.condition
    for lifecycle, edge, _ in (carrier for carrier in CARRIERS if carrier[2] is gap):
        [fired] = inner(machine_of(lifecycle)).events[edge.transition.trigger].transitions[edge.source]
        assert attribute in [getattr(condition.func, "__qualname__", None) for condition in fired.conditions]


def test_the_register_names_the_seven_founding_gaps_and_events_that_exist() -> None:
    assert [gap.id for gap in REGISTER] == [f"GAP-{number}" for number in range(1, 8)]
    assert [gap.severity for gap in REGISTER] == ["critical"] * 3 + ["high"] * 2 + ["medium"] * 2


def test_the_edges_carry_the_gap_checks_of_the_design() -> None:
    carried = {(lifecycle.name, edge.transition.trigger, gap.id) for lifecycle, edge, gap in CARRIERS}
    outcomes = ("complete", "fail", "retry", "release", "rescue")
    assert {(machine, trigger) for machine, trigger, gap in carried if gap == "GAP-1"} == {
        (machine, trigger) for machine in ("task", "callback") for trigger in outcomes
    }
    assert {one for one in carried if one[2] != "GAP-1"} == {
        ("stage", "complete", "GAP-2"),
        ("stage", "fail", "GAP-2"),
        ("stage", "cancel", "GAP-2"),
        ("job", "fail", "GAP-3"),
        ("task", "retry", "GAP-4"),
        ("callback", "retry", "GAP-4"),
        ("task", "complete", "GAP-5"),
        ("job", "complete", "GAP-6"),
        ("callback", "fail", "GAP-7"),
        ("callback", "retry", "GAP-7"),
    }


def test_a_finalizer_that_failed_with_an_error_may_complete_with_a_warning() -> None:
    data = {"finalizer": "failed", "error": {"message": "boom"}}
    assert machine_of(JOB).fire(Subject("abc", "processing"), "complete", data=data).target == "completed"


def test_a_condition_that_only_answers_no_raises_all_the_same() -> None:
    machine = Machine(TASK)
    [fired] = inner(machine).events["claim"].transitions["queued"]

    def refuse(_: transitions.EventData) -> bool:
        return False

    fired.conditions.append(transitions.core.Condition(refuse))
    subject = Subject("7-0", "queued")
    with pytest.raises(GapRefusedError, match=r"refused task\.claim of 7-0: a condition refused"):
        machine.fire(subject, "claim")
    assert held(subject) == ("queued", [])


def test_an_exception_in_a_callback_takes_state_and_events_back() -> None:
    def write_and_fail(fired: transitions.EventData) -> None:
        subject.events.append(MoveEvent("half", "info", {}))
        assert fired.model is subject
        raise ConnectionError("the log is full")

    earlier = MoveEvent("task_resumed", "warning", {})
    subject = Subject("7-0", "queued")
    subject.events.append(earlier)
    with pytest.raises(ConnectionError, match="the log is full"):
        Machine(TASK, write_event=write_and_fail).fire(subject, "claim")
    assert held(subject) == ("queued", [earlier])


@pytest.mark.parametrize("raised", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_no_exception_of_a_callback_is_swallowed(raised: BaseException) -> None:
    def fail(_: transitions.EventData) -> None:
        raise raised

    subject = Subject("7-0", "queued")
    with pytest.raises(type(raised)) as told:
        Machine(TASK, write_event=fail).fire(subject, "claim")
    assert told.value is raised
    assert held(subject) == ("queued", [])


def test_a_write_that_fails_takes_every_subject_back_to_where_its_row_is() -> None:
    machine = machine_of(TASK)
    subjects = [Subject("7-0", "processing"), Subject("7-1", "processing")]

    def write() -> None:
        with machine.rollback_on_error(subjects):
            for subject in subjects:
                machine.fire(subject, "release", VALUES)
            raise OperationError("lost the connection")

    with pytest.raises(OperationError, match="lost the connection"):
        write()
    assert [held(subject) for subject in subjects] == [("processing", []), ("processing", [])]


def test_a_write_that_succeeds_takes_nothing_back() -> None:
    machine, subject = machine_of(TASK), Subject("7-0", "processing")
    with machine.rollback_on_error([subject]):
        machine.fire(subject, "release", VALUES)
    assert subject.state == "queued"
    assert len(subject.events) == 1


def test_the_options_of_transitions_that_swallow_errors_are_not_set() -> None:
    for lifecycle in LIFECYCLES:
        made = inner(Machine(lifecycle))
        assert not made.on_exception
        assert not made.finalize_event
        assert made.ignore_invalid_triggers is False
        assert not any(state.ignore_invalid_triggers for state in made.states.values())


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.name)
def test_no_trigger_exists_that_was_not_declared(lifecycle: Lifecycle) -> None:
    assert set(inner(Machine(lifecycle)).events) == {transition.trigger for transition in lifecycle.transitions}


def test_each_edge_of_the_inner_machine_stands_alone() -> None:
    """Of two edges for one trigger `transitions` takes the first, in silence."""
    for lifecycle in LIFECYCLES:
        for event in inner(Machine(lifecycle)).events.values():
            assert {len(edges) for edges in event.transitions.values()} == {1}


def test_two_edges_for_one_trigger_are_refused_when_they_are_declared() -> None:
    again = Transition(trigger="start", sources=("queued",), target="completed", event=Event("job_leapt"))
    with pytest.raises(DefinitionError, match=r"job\.start: ambiguous trigger, it leaves queued more than once"):
        replace(JOB, transitions=(*JOB.transitions, again))


def test_one_machine_is_shared_and_knows_no_models() -> None:
    assert machine_of(TASK) is machine_of(TASK)
    subjects = [Subject(f"7-{number}", "queued") for number in range(100)]
    for subject in subjects:
        machine_of(TASK).fire(subject, "claim")
    assert inner(machine_of(TASK)).models == []
    assert "add_model" not in inspect.getsource(machine_module)


def test_a_subject_is_light_and_nothing_grows_on_it() -> None:
    subject = Subject("7-0", "queued")
    machine_of(TASK).fire(subject, "claim")
    assert not hasattr(subject, "__dict__")
    assert not hasattr(subject, "claim")


def test_without_the_event_writing_callback_there_is_no_event() -> None:
    silent = Machine(TASK, write_event=lambda _: None)
    subject = Subject("7-0", "queued")
    move = silent.fire(subject, "claim", VALUES, DATA)
    assert move.event is None
    assert held(subject) == ("processing", [])


def test_an_earlier_event_is_not_taken_for_that_of_a_silent_move() -> None:
    silent, subject = Machine(TASK, write_event=lambda _: None), Subject("7-0", "queued")
    machine_of(TASK).fire(subject, "claim")
    assert silent.fire(subject, "release", VALUES).event is None


def test_the_birth_of_a_record_has_its_event_only_where_one_is_declared() -> None:
    assert machine_of(JOB).creation_event({"by": "me"}) == MoveEvent("job_created", "success", {"by": "me"})
    for lifecycle in (STAGE, TASK, CALLBACK):
        with pytest.raises(DefinitionError, match=f"{lifecycle.name}: creation writes no event"):
            machine_of(lifecycle).creation_event()


def test_a_users_own_lifecycle_gets_the_same_machine() -> None:
    closing = Event("door_shut", "warning")
    door = Lifecycle(
        "door",
        states=(State(name="open", initial=True, waits_for="somebody"), State(name="shut", terminal=True)),
        transitions=(Transition(trigger="close", sources=("open",), target="shut", event=closing),),
    )
    move = machine_of(door).fire(Subject("front", "open"), "close", data={"by": "wind"})
    assert move.event == MoveEvent("door_shut", "warning", {"by": "wind"})
