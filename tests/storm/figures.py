"""What the storm counts, in addition to what the soak counts."""

from collections import Counter
from dataclasses import dataclass, field

from coremachine.runtime.soak.check import longest_standstill
from coremachine.runtime.soak.figures import Figures
from tests.storm.check import late_effects, repeated_runs
from tests.storm.snapshot import JobSnapshot


@dataclass
class StormFigures(Figures):
    """`faults` by kind. `late` counts effects that were written after their stage had closed."""

    faults: Counter[str] = field(default_factory=Counter[str])
    late: int = 0
    repeated: int = 0
    longest_open: float = 0.0

    def add_settled_job(self, snapshot: JobSnapshot) -> None:
        """Count a job that has settled."""
        self.ends[snapshot.job["status"]] += 1
        self.tasks += len(snapshot.tasks)
        self.starts += sum(line.what == "begin" for line in snapshot.lines)
        self.events.update(event["event_type"] for event in snapshot.events)
        self.late += late_effects(snapshot)
        self.repeated += repeated_runs(snapshot)
        self.measure("a job stood still", longest_standstill(snapshot.events))
