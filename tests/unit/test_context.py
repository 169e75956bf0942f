"""What a handler can say, and how it hears that it should stop."""

from collections.abc import Mapping
from threading import Event, Thread

import pytest

from coremachine.statemachine.context import TaskCancelledError, TaskContext
from coremachine.statemachine.errors import OperationError


def test_a_checkpoint_and_progress_are_told_with_their_data() -> None:
    told: list[tuple[str, Mapping[str, object]]] = []
    context = TaskContext(emit=lambda kind, data: told.append((kind, data)))
    context.checkpoint("windows cut", windows=12)
    context.progress(3, 12)
    assert told == [
        ("checkpoint", {"name": "windows cut", "windows": 12}),
        ("progress", {"done": 3, "total": 12}),
    ]


def test_a_unit_test_makes_a_context_that_nobody_hears() -> None:
    context = TaskContext(task_id="7-0", attempt=2)
    context.checkpoint("here")
    context.raise_if_cancelled()
    assert (context.task_id, context.attempt, context.cancelled) == ("7-0", 2, False)


def test_a_handler_that_was_asked_to_stop_can_see_it_and_say_why() -> None:
    context = TaskContext()
    context.ask_to_stop("a sibling failed")
    assert context.cancelled
    with pytest.raises(TaskCancelledError, match="this task was asked to stop: a sibling failed") as stopped:
        context.raise_if_cancelled()
    assert stopped.value.reason == "a sibling failed"
    assert isinstance(stopped.value, OperationError)


def test_waiting_ends_when_the_handler_is_asked_to_stop() -> None:
    context, began = TaskContext(), Event()
    answers: list[bool] = []

    def handler() -> None:
        began.set()
        answers.append(context.wait(60))

    thread = Thread(target=handler)
    thread.start()
    assert began.wait(10)
    context.ask_to_stop("worker stopping")
    thread.join(10)
    assert answers == [True]


def test_waiting_to_its_end_says_that_nobody_asked() -> None:
    assert TaskContext().wait(0) is False


def test_a_listener_hears_the_reason_while_it_listens() -> None:
    context, heard = TaskContext(), list[str]()
    with context.stop_listener(heard.append):
        context.ask_to_stop("timeout")
    context.ask_to_stop("again")
    assert heard == ["timeout"]


def test_a_listener_that_comes_late_hears_at_once() -> None:
    context, heard = TaskContext(), list[str]()
    context.ask_to_stop("timeout")
    with context.stop_listener(heard.append):
        assert heard == ["timeout"]
