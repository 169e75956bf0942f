"""What the soak counts and measures. It grows with the number of problems, not with time."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .check import longest_standstill
from .snapshot import JobSnapshot

LOGS_KEPT = 20
RESCUE_EVENTS = ("task_rescued", "callback_rescued")
ERRORS_KEPT = 20


@dataclass(slots=True)
class Violation:
    """Something that must not happen. `log` is the events of the job and what its handlers wrote, if it is a job."""

    what: str
    job_id: str | None = None
    log: tuple[str, ...] = ()


@dataclass(slots=True)
class Figures:
    """Counts, and the longest times in seconds."""

    kills: Counter[str] = field(default_factory=Counter[str])
    restarts: Counter[str] = field(default_factory=Counter[str])
    submitted: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    events: Counter[str] = field(default_factory=Counter[str])
    tasks: int = 0
    starts: int = 0
    retired: int = 0
    audits: int = 0
    failed_starts: int = 0
    worker_errors: int = 0
    longest: dict[str, float] = field(default_factory=dict[str, float])
    violations: list[Violation] = field(default_factory=list[Violation])
    errors_logged: deque[str] = field(default_factory=lambda: deque[str](maxlen=ERRORS_KEPT))
    killed_at: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def measure(self, what: str, seconds: float) -> None:
        """Keep the longest time."""
        self.longest[what] = max(seconds, self.longest.get(what, 0.0))

    def add_violation(self, what: str, job_id: str | None = None, log: tuple[str, ...] = ()) -> None:
        """Add a violation; the logs of the first few are kept whole."""
        self.violations.append(Violation(what, job_id, log if len(self.violations) < LOGS_KEPT else ()))

    def add_job(self, snapshot: JobSnapshot) -> None:
        """Count a job that has been checked."""
        self.ends[snapshot.job["status"]] += 1
        self.tasks += len(snapshot.tasks)
        self.starts += snapshot.count("start")
        self.events.update(event["event_type"] for event in snapshot.events)
        self.measure("a job stood still", longest_standstill(snapshot.events))
        for event in snapshot.events_of(*RESCUE_EVENTS):
            killed = self.killed_at.get(_lost_worker(event["event_data"]))
            if killed is not None and killed <= event["created_at"]:
                self.measure("from a kill to the rescue", (event["created_at"] - killed).total_seconds())


def _lost_worker(data: Mapping[str, object]) -> str:
    return str(data.get("lost_worker", ""))
