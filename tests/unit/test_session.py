from types import MappingProxyType

from coremachine.runtime.store.session import event_json
from coremachine.statemachine.machine import MoveEvent


def test_an_event_without_data_is_an_empty_object_not_a_text() -> None:
    assert event_json(MoveEvent("job_started", "success", MappingProxyType({}))) == "{}"
    assert event_json(MoveEvent("task_started", "success", {"worker": "w"})) == '{"worker": "w"}'
    assert event_json(None) is None
