"""Old public names still work, and say what they are called now."""

import re
import warnings
from typing import Any, cast

import pytest

from coremachine import CoreMachine, TaskContext, statemachine
from coremachine.runtime import app
from coremachine.runtime.app import Diagnosis, EventCursor
from coremachine.runtime.flow.resume import ResumePlan
from coremachine.statemachine import Column, Event, EventLog, Lifecycle, Record, State, StateColumn, Transition

DOOR: dict[str, Any] = {
    "lifecycle": Lifecycle(
        name="door",
        states=(
            State(name="shut", initial=True, waits_for="a hand"),
            State(name="open", waits_for="a hand"),
            State(name="gone", terminal=True),
        ),
        transitions=(
            Transition(trigger="open", sources=("shut",), target="open", event=Event(type="door_opened")),
            Transition(trigger="remove", sources=("open",), target="gone", event=Event(type="door_removed")),
        ),
    ),
    "table": "doors",
    "key": Column(name="door_id", type="TEXT"),
    "columns": (Column(name="due_at", type="TIMESTAMPTZ", nullable=True), Column(name="delay", type="INTERVAL")),
}


@pytest.mark.parametrize(("old", "new"), [("Why", Diagnosis), ("EventMark", EventCursor), ("Resumption", ResumePlan)])
def test_an_old_name_is_the_new_class_and_warns(old: str, new: type) -> None:
    with pytest.warns(DeprecationWarning, match=f"{old} is now {new.__name__}"):
        assert getattr(app, old) is new


def test_aio_is_async_app() -> None:
    machine = CoreMachine("postgresql://nowhere.invalid/db")
    with pytest.warns(DeprecationWarning, match="async_app"):
        assert machine.aio is machine.async_app


def test_a_task_context_takes_tell_for_emit() -> None:
    events: list[tuple[str, object]] = []

    def write(event_type: str, data: object) -> None:
        events.append((event_type, data))

    with pytest.warns(DeprecationWarning, match=r"TaskContext\(emit=…\)"):
        context: TaskContext = cast("Any", TaskContext)(tell=write)

    context.checkpoint("half")

    assert events == [("checkpoint", {"name": "half"})]


def test_a_name_that_never_was_is_unknown() -> None:
    with pytest.raises(AttributeError, match="Whence"):
        app.Whence  # noqa: B018 - it raises


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_record_is_declared_by_the_old_names() -> None:
    tie, event_log, record = cast("Any", (statemachine.Tie, EventLog, Record))
    due = tie(column="due_at", required=("open",), span="delay")
    log = event_log(table="door_events", carries=("door_id",), carries_before=("due_at",))
    door = record(**DOOR, log=log, ties=(due,), fence="delay")

    assert due == StateColumn(column="due_at", required=("open",), plus_interval="delay")
    assert log == EventLog(table="door_events", copied_columns=("door_id",), copied_before=("due_at",))
    assert (door.state_columns, door.fencing_column) == ((due,), "delay")


@pytest.mark.parametrize(("old", "new"), [("span", "plus_interval"), ("Tie", "StateColumn")])
def test_an_old_name_of_a_declaration_warns(old: str, new: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cast("Any", statemachine.Tie)(column="due_at", span="delay")
    (message,) = [str(one.message) for one in caught if re.search(rf"\b{old}\b", str(one.message))]
    assert re.search(rf"is now .*\b{new}\b", message)
