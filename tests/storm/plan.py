"""What each attempt of each task does, and the result of the job. All of it follows from the job's seed."""

from dataclasses import dataclass
from typing import Literal

from coremachine.runtime.soak.plan import chance

FEWEST, MOST = 3, 12
End = Literal["completed", "failed"]


class PlannedError(Exception):
    """Raised by a handler when the plan says that it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the tasks of a stage behave. Shares are between 0 and 1, `seconds` is the longest time of an attempt.

    A `doomed` task fails in each of its `attempts`; of the others an attempt that is not the last may `fail`.
    """

    attempts: int = 4
    seconds: float = 0.6
    fail: float = 0.1
    doomed: float = 0.0


BEHAVIOURS = {
    "plan": Behaviour(),
    "work": Behaviour(seconds=1.5, fail=0.15, doomed=0.01),
    "collect": Behaviour(),
    "first": Behaviour(seconds=1.0, fail=0.15, doomed=0.005),
    "second": Behaviour(attempts=2, seconds=1.0, fail=0.15, doomed=0.02),
    "merge": Behaviour(),
    "part": Behaviour(attempts=1, doomed=0.05),
    "all": Behaviour(),
}
"""By the name of the stage, in any job."""

STAGES = {
    "storm_gather": ("plan", "work", "collect"),
    "storm_twice": ("first", "second", "merge"),
    "storm_fast": ("part", "all"),
}
"""The stages of each job. Those of `FANNED` have a task for each number, the others have one task."""
FANNED = frozenset({"work", "first", "second", "part"})


def numbers(seed: int) -> list[int]:
    """The numbers over which a job fans out."""
    return [round(1000 * chance(seed, "number", n)) for n in range(FEWEST + int(chance(seed) * (MOST - FEWEST + 1)))]


def is_doomed(seed: int, stage: str, index: int) -> bool:
    """Whether a task fails for good."""
    return chance(seed, stage, index, "doomed") < BEHAVIOURS[stage].doomed


def fails(seed: int, stage: str, index: int, attempt: int) -> bool:
    """Whether this attempt is to fail."""
    behaviour = BEHAVIOURS[stage]
    return is_doomed(seed, stage, index) or (
        attempt < behaviour.attempts and chance(seed, stage, index, attempt) < behaviour.fail
    )


def seconds(seed: int, stage: str, index: int, attempt: int) -> float:
    """How long this attempt takes."""
    return BEHAVIOURS[stage].seconds * chance(seed, stage, index, attempt, "seconds") ** 2


def value(stage: str, number: int) -> int:
    """The result of a task of this stage for a number."""
    factor = {"work": 3, "first": 5, "second": 7, "part": 11}[stage]
    return factor * number + 1


def tasks_of(stage: str, seed: int) -> int:
    """How many tasks a stage has, once it is open."""
    return len(numbers(seed)) if stage in FANNED else 1


def planned_end(job_type: str, seed: int) -> End:
    """How the job must end, whatever happens before."""
    doomed = any(is_doomed(seed, stage, n) for stage in STAGES[job_type] for n in range(tasks_of(stage, seed)))
    return "failed" if doomed else "completed"


def planned_result(job_type: str, seed: int) -> list[int]:
    """The result of a job that completes: every number, passed through each stage that fans out."""
    found = numbers(seed)
    for stage in STAGES[job_type]:
        found = [value(stage, number) for number in found] if stage in FANNED else found
    return found
