"""The check of one job, and what can be measured on it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ...statemachine.lifecycles import JOB
from ..store.session import Row
from .check_end import end_problems
from .check_runs import run_problems
from .snapshot import JobSnapshot

END_EVENTS = {edge.transition.event.type for edge in JOB.edges if JOB.by_name[edge.target].terminal}
RESUMED = "job_resumed"
SHOWN = 400


def check_job(snapshot: JobSnapshot) -> list[str]:
    """What is wrong with a job that has ended; empty if nothing is."""
    return [*end_problems(snapshot), *run_problems(snapshot)]


def longest_standstill(events: Sequence[Row]) -> float:
    """The longest time, in seconds, between two events of a job while it was open."""
    gaps, is_open = [0.0], True
    for before, after in pairwise(events):
        is_open = before["event_type"] == RESUMED or (is_open and before["event_type"] not in END_EVENTS)
        if is_open:
            gaps.append((after["created_at"] - before["created_at"]).total_seconds())
    return max(gaps)


def log_of(snapshot: JobSnapshot) -> Sequence[str]:
    """The event log of a job and its side effects, shown with a violation."""
    return [*map(_event_line, snapshot.events), *_side_effect_lines(snapshot)]


def _event_line(event: dict[str, object]) -> str:
    place = " ".join(f"{name}={event[name]}" for name in ("task_id", "stage", "attempt", "lease_number") if event[name])
    return f"{event['event_id']} {event['created_at']} {event['event_type']} {place} {event['event_data']}"[:SHOWN]


def _side_effect_lines(snapshot: JobSnapshot) -> Iterator[str]:
    for line in snapshot.lines:
        yield f"outside: {line.what} {line.task_id} attempt {line.attempt} lease {line.lease_number}"
