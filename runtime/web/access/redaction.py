"""Removes parameters, results and tracebacks from what a viewer receives."""

from collections.abc import Mapping
from typing import cast

from .policy import Visitor

VIEWER_ERROR_FIELDS = ("type", "message", "task_number")
VIEWER_DATA_FIELDS = frozenset(
    {
        "attempt",
        "by",
        "delay_s",
        "duration_ms",
        "found_by",
        "from_stage",
        "gap",
        "job_type",
        "lost_worker",
        "of",
        "outcome",
        "reason",
        "rescues",
        "running",
        "source",
        "stage",
        "stage_name",
        "stages",
        "target",
        "tasks",
        "tasks_cancelled",
        "tasks_completed",
        "tasks_failed",
        "why",
        "worker",
    }
)
"""Fields that contain no parameter and no result. All other fields are for operators only."""


def redact_error(error: object, visitor: Visitor) -> dict[str, object] | None:
    """An error as this visitor may see it: type and message, and the traceback for operators."""
    if not isinstance(error, Mapping):
        return None
    fields = cast("Mapping[str, object]", error)
    return {name: value for name, value in fields.items() if visitor.is_operator or name in VIEWER_ERROR_FIELDS}


def redact_data(data: Mapping[str, object], visitor: Visitor) -> dict[str, object]:
    """An event's data as this visitor may see it."""
    if visitor.is_operator:
        return dict(data)
    shown = {name: value for name, value in data.items() if name in VIEWER_DATA_FIELDS}
    if "error" in data:
        shown["error"] = redact_error(data["error"], visitor)
    return shown
