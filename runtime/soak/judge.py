"""The verdict on one job, and what can be measured on it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ...statemachine.lifecycles import JOB
from .ends import wrong_end
from .evidence import Evidence
from .runs import wrong_runs

ENDS = {edge.transition.event.type for edge in JOB.edges if JOB.by_name[edge.target].terminal}
RESUMED = "job_resumed"
SHOWN = 400


def judge(evidence: Evidence) -> list[str]:
    """What is wrong with a job that has ended; empty where all is as it should be."""
    return [*wrong_end(evidence), *wrong_runs(evidence)]


def longest_standstill(evidence: Evidence) -> float:
    """The longest time, in seconds, between two events of the job while it was open."""
    gaps, is_open = [0.0], True
    for before, after in pairwise(evidence.events):
        is_open = before["event_type"] == RESUMED or (is_open and before["event_type"] not in ENDS)
        if is_open:
            gaps.append((after["created_at"] - before["created_at"]).total_seconds())
    return max(gaps)


def log_of(evidence: Evidence) -> Sequence[str]:
    """The event log of a job and the lines that it left, to be shown with a violation."""
    return [*map(_event_line, evidence.events), *_effect_lines(evidence)]


def _event_line(event: dict[str, object]) -> str:
    place = " ".join(f"{name}={event[name]}" for name in ("task_id", "stage", "attempt", "lease_number") if event[name])
    return f"{event['event_id']} {event['created_at']} {event['event_type']} {place} {event['event_data']}"[:SHOWN]


def _effect_lines(evidence: Evidence) -> Iterator[str]:
    for line in evidence.lines:
        yield f"outside: {line.what} {line.task_id} attempt {line.attempt} lease {line.lease_number}"
