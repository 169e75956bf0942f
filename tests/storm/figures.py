"""What the storm counts, beside what the soak counts."""

from collections import Counter
from dataclasses import dataclass, field

from coremachine.runtime.soak.figures import Figures
from tests.storm.evidence import Evidence
from tests.storm.judge import late_effects, longest_standstill, repeated_runs


@dataclass
class StormFigures(Figures):
    """`faults` by kind. `late` are effects that were left after their stage had closed."""

    faults: Counter[str] = field(default_factory=Counter[str])
    late: int = 0
    repeated: int = 0
    longest_open: float = 0.0

    def count(self, evidence: Evidence) -> None:
        """Count a job that is over and quiet."""
        self.ends[evidence.job["status"]] += 1
        self.tasks += len(evidence.tasks)
        self.starts += sum(line.what == "begin" for line in evidence.lines)
        self.events.update(event["event_type"] for event in evidence.events)
        self.late += late_effects(evidence)
        self.repeated += repeated_runs(evidence)
        self.measure("a job stood still", longest_standstill(evidence))
