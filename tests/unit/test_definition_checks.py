"""What is declared wrongly is refused where it is declared, by machine, state and trigger."""

import re
from dataclasses import replace

import pytest

from coremachine.statemachine.errors import CoreMachineError, DefinitionError
from coremachine.statemachine.lifecycle import Event, Lifecycle, State, Transition
from coremachine.statemachine.records import Column, EventLog, Record, Schema, StateColumn
from coremachine.statemachine.tables import JOBS, SCHEMA, TASKS

OPEN = State(name="open", initial=True, waits_for="somebody")
SHUT = State(name="shut", terminal=True)
CLOSE = Transition(trigger="close", sources=("open",), target="shut", event=Event("door_shut"))


def door(*transitions: Transition, states: tuple[State, ...] = (OPEN, SHUT), name: str = "door") -> Lifecycle:
    return Lifecycle(name, states=states, transitions=transitions or (CLOSE,))


def refused(words: str) -> "pytest.RaisesExc[DefinitionError]":
    return pytest.raises(DefinitionError, match=re.escape(words))


def test_a_sound_lifecycle_is_accepted() -> None:
    assert door().legal_pairs == {("open", "shut")}


def test_a_wrong_definition_is_an_error_of_ours() -> None:
    with pytest.raises(CoreMachineError):
        door(states=(OPEN, OPEN, SHUT))


def test_exactly_one_state_is_initial() -> None:
    with refused("door: exactly one state must be initial, not none"):
        door(states=(replace(OPEN, initial=False), SHUT))
    with refused("door: exactly one state must be initial, not ['open', 'shut']"):
        door(states=(OPEN, replace(SHUT, initial=True)))


def test_a_state_is_declared_once() -> None:
    with refused("door: state shut is declared 2 times"):
        door(states=(OPEN, SHUT, SHUT))


def test_some_state_is_terminal() -> None:
    with refused("door: no state is terminal"):
        door(states=(OPEN, State(name="shut", waits_for="somebody")))


def test_a_terminal_state_holds_no_lease() -> None:
    with refused("door.shut: a terminal state holds no lease"):
        door(states=(OPEN, replace(SHUT, leased=True)))


def test_an_unreachable_state_is_named() -> None:
    with refused("door.ajar: unreachable from open"):
        door(states=(OPEN, SHUT, State(name="ajar", terminal=True)))


def test_a_state_with_no_way_to_a_terminal_one_is_named() -> None:
    jam = Transition(trigger="jam", sources=("open",), target="jammed", event=Event("door_jammed"))
    with refused("door.jammed: no way to a terminal state"):
        door(CLOSE, jam, states=(OPEN, SHUT, State(name="jammed", waits_for="a locksmith")))


def test_an_ambiguous_trigger_is_named() -> None:
    slam = Transition(trigger="close", sources=("open",), target="broken", event=Event("door_broken"))
    with refused("door.close: ambiguous trigger, it leaves open more than once"):
        door(CLOSE, slam, states=(OPEN, SHUT, State(name="broken", terminal=True)))


def test_a_source_named_twice_is_ambiguous_too() -> None:
    with refused("door.close: ambiguous trigger, it leaves open more than once"):
        door(replace(CLOSE, sources=("open", "open")))


def test_an_event_that_replay_could_not_tell_apart_is_named() -> None:
    slam = Transition(trigger="slam", sources=("open",), target="broken", event=Event("door_shut"))
    with refused("door.slam: event door_shut leaves open for shut as well as for broken; replay could not"):
        door(CLOSE, slam, states=(OPEN, SHUT, State(name="broken", terminal=True)))


def test_a_trigger_leaves_some_state() -> None:
    with refused("door.close: no source state"):
        door(replace(CLOSE, sources=()))


def test_a_state_that_nobody_declared_is_named() -> None:
    with refused("door.close: state 'locked' is not declared; declared: open, shut"):
        door(replace(CLOSE, target="locked"))
    with refused("door.close: state 'locked' is not declared; declared: open, shut"):
        door(replace(CLOSE, sources=("open", "locked")))


def test_a_move_that_moves_nothing_is_refused() -> None:
    hold = Transition(trigger="hold", sources=("open",), target="open", event=Event("door_held"))
    with refused("door.hold: open → open does not change the state"):
        door(CLOSE, hold)


def test_a_state_that_waits_has_an_owner_or_a_deadline() -> None:
    with refused("door.open: a non-terminal state with no owner and no deadline"):
        door(states=(replace(OPEN, waits_for=""), SHUT))


@pytest.mark.parametrize("how", [{"waits_for": "somebody"}, {"deadline": "due_at"}, {"leased": True}])
def test_an_owner_a_deadline_or_a_lease_will_do(how: dict[str, str | bool]) -> None:
    state = State(name="open", initial=True, **how)  # type: ignore[arg-type]
    assert door(states=(state, SHUT)).initial is state


@pytest.mark.parametrize("name", ["Door", "front door", "front-door", "1st", "", "door;drop", "türe", "door\n"])
def test_names_can_stand_in_sql_and_urls_as_they_are(name: str) -> None:
    with refused(f"machine {name!r}: use lower-case letters, digits and _, starting with a letter"):
        door(name=name)
    with refused(f"state {name!r}"):
        door(states=(OPEN, State(name=name, terminal=True)))
    with refused(f"trigger {name!r}"):
        door(replace(CLOSE, trigger=name))
    with refused(f"event type {name!r}"):
        door(replace(CLOSE, event=Event(name)))


def test_names_fit_their_columns() -> None:
    with refused(f"machine '{'m' * 41}' is longer than 40 characters"):
        door(name="m" * 41)
    with refused(f"state '{'s' * 21}' is longer than 20 characters"):
        door(states=(OPEN, State(name="s" * 21, terminal=True)))
    with refused(f"trigger '{'t' * 41}' is longer than 40 characters"):
        door(replace(CLOSE, trigger="t" * 41))
    with refused(f"event type '{'e' * 51}' is longer than 50 characters"):
        door(replace(CLOSE, event=Event("e" * 51)))


KEY = Column(name="door_id", type="BIGINT", identity=True)
SHUT_AT = Column(name="shut_at", type="TIMESTAMPTZ", nullable=True)
LOG = EventLog(table="door_events", copied_columns=("door_id",))
DOORS = Record(
    lifecycle=door(),
    table="doors",
    key=KEY,
    columns=(SHUT_AT,),
    log=LOG,
    state_columns=(StateColumn(column="shut_at", required=("shut",), clock=True),),
)


def test_a_tied_column_is_declared() -> None:
    with refused("doors: column locked_at is not declared"):
        replace(DOORS, state_columns=(StateColumn(column="locked_at", required=("shut",)),))


def test_a_tied_column_is_nullable() -> None:
    with refused("doors.shut_at is tied to states, so it must be nullable"):
        replace(DOORS, columns=(replace(SHUT_AT, nullable=False),))


def test_a_column_is_tied_to_states_that_exist() -> None:
    with refused("doors.shut_at is tied to ['ajar', 'locked'], which is not declared as a state"):
        replace(DOORS, state_columns=(StateColumn(column="shut_at", required=("locked",), allowed=("ajar", "shut")),))


def test_a_span_is_a_column() -> None:
    with refused("doors: column patience is not declared"):
        replace(DOORS, state_columns=(StateColumn(column="shut_at", allowed=("shut",), plus_interval="patience"),))


@pytest.mark.parametrize("part", ["sets", "counts", "adds"])
def test_what_a_trigger_changes_is_declared_for_a_trigger_and_a_column_that_exist(part: str) -> None:
    with refused("doors: door has no trigger slam"):
        replace(DOORS, **{part: {"slam": ("shut_at",)}})  # type: ignore[arg-type]
    with refused("doors: column slams is not declared"):
        replace(DOORS, **{part: {"close": ("slams",)}})  # type: ignore[arg-type]


def test_fence_and_log_name_columns_that_exist() -> None:
    with refused("doors: column lease_number is not declared"):
        replace(DOORS, fencing_column="lease_number")
    with refused("doors: column house is not declared"):
        replace(DOORS, log=replace(LOG, copied_columns=("door_id", "house")))
    with refused("doors: column attempt is not declared"):
        replace(DOORS, log=replace(LOG, copied_before=("attempt",)))


def test_a_table_has_a_name_that_needs_no_quotes() -> None:
    with refused("table 'Doors'"):
        replace(DOORS, table="Doors")


def test_a_leased_state_ties_the_columns_of_the_lease() -> None:
    leased = door(states=(replace(OPEN, leased=True), SHUT))
    with refused("door.open: column lease_owner must be tied to this state"):
        replace(DOORS, lifecycle=leased)


def test_a_deadline_is_a_column_tied_to_its_state() -> None:
    with refused("door.open: column due_at must be tied to this state"):
        replace(DOORS, lifecycle=door(states=(replace(OPEN, deadline="due_at"), SHUT)))


@pytest.mark.parametrize("column", ["lease_owner", "lease_expires_at", "due_at"])
def test_a_task_without_one_of_its_ties_is_refused(column: str) -> None:
    with refused(f"column {column} must be tied to this state"):
        replace(TASKS, state_columns=tuple(tie for tie in TASKS.state_columns if tie.column != column))


def test_a_log_carries_what_says_which_row_an_event_belongs_to() -> None:
    with refused(
        "doors: door_events must carry door_id, to say which row an event belongs to; add it to copied_columns"
    ):
        replace(DOORS, log=EventLog(table="door_events", copied_columns=("shut_at",)))


def test_a_trigger_of_two_transitions_is_refused_in_a_record() -> None:
    half = State(name="half", waits_for="somebody")
    push = Transition(trigger="push", sources=("open",), target="half", event=Event("door_pushed"))
    slam = Transition(trigger="close", sources=("half",), target="shut", event=Event("door_slammed"))
    in_memory = door(CLOSE, push, slam, states=(OPEN, half, SHUT))
    assert len(tuple(in_memory.transitions_of("close"))) == 2
    with refused("door.close: 2 transitions have this trigger (open → shut, half → shut); in a record give each"):
        replace(DOORS, lifecycle=in_memory)


def test_one_trigger_does_not_both_fill_a_column_and_keep_it() -> None:
    half = State(name="half", waits_for="somebody")
    shut = replace(CLOSE, sources=("open", "half"))
    push = Transition(trigger="push", sources=("open",), target="half", event=Event("door_pushed"))
    with refused("doors.shut_at: close enters shut from states with and without it; declare one transition for each"):
        replace(
            DOORS,
            lifecycle=door(shut, push, states=(OPEN, half, SHUT)),
            state_columns=(StateColumn(column="shut_at", required=("half", "shut"), clock=True),),
        )


def test_two_records_do_not_share_a_table_or_a_lifecycle() -> None:
    with refused("table jobs is declared twice"):
        Schema((*SCHEMA.records, replace(DOORS, table="jobs")))
    with refused("machine job is declared twice"):
        Schema((JOBS, replace(JOBS, table="more_jobs")))


def test_two_lifecycles_in_one_log_do_not_share_an_event_type() -> None:
    window = replace(DOORS, lifecycle=door(name="window"), table="windows")
    with refused("event type door_shut is written by door and by window"):
        Schema((DOORS, window))
    elsewhere = replace(window, log=replace(LOG, table="window_events"))
    assert Schema((DOORS, elsewhere)).by_machine == {"door": DOORS, "window": elsewhere}
