"""Old public names still work, and say what they are called now."""

import pytest

from coremachine import CoreMachine, TaskContext
from coremachine.runtime import app
from coremachine.runtime.app import Diagnosis, EventCursor
from coremachine.runtime.flow.resume import ResumePlan


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
    with pytest.warns(DeprecationWarning, match="emit"):
        context = TaskContext(tell=lambda event_type, data: events.append((event_type, data)))

    context.checkpoint("half")

    assert events == [("checkpoint", {"name": "half"})]


def test_a_name_that_never_was_is_unknown() -> None:
    with pytest.raises(AttributeError, match="Whence"):
        app.Whence  # noqa: B018 - it raises
