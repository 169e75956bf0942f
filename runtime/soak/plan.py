"""What each attempt of each task is to do: chance, but the same chance for the handler and for the judge."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

Ending = Literal["succeed", "fail", "hang", "die"]

ERROR_TYPES: dict[Ending, str] = {"fail": "PlannedError", "hang": "HandlerTimeoutError", "die": "ChildDiedError"}
TIMEOUT = 10.0
"""Seconds that a handler which hangs is given. One that does not needs a fraction, on a loaded machine too."""
MOST_ITEMS = 8
CALLBACK_FAILURES = 2


class PlannedError(Exception):
    """What a handler raises where the plan says that it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How the tasks of a stage behave. Shares are between 0 and 1.

    `attempts` are those that the task is given, `seconds` the most that it takes; `doomed` tasks fail in each of the
    first `attempts`, the others may `fail`, `hang` or `die` in each attempt but the last of those.
    """

    seconds: float = 0.3
    attempts: int = 1
    doomed: float = 0.0
    fail: float = 0.0
    hang: float = 0.0
    die: float = 0.0


HABITS = {
    "plan": Habit(attempts=4, fail=0.1),
    "work": Habit(attempts=4, seconds=0.6, fail=0.15, doomed=0.02),
    "collect": Habit(attempts=4, fail=0.1),
    "sibling": Habit(seconds=0.6, doomed=0.06),
    "settle": Habit(attempts=2, fail=0.1),
    "child": Habit(attempts=4, seconds=0.4, fail=0.1, hang=0.01, die=0.05, doomed=0.01),
    "sum": Habit(),
    "begin": Habit(attempts=3, fail=0.1),
    "wave": Habit(attempts=3, fail=0.1, doomed=0.02),
    "first": Habit(attempts=3, seconds=3.0, fail=0.1, hang=0.03),
    "second": Habit(attempts=3, seconds=3.0, fail=0.1, doomed=0.1),
}
"""By the name of the stage, of whatever job."""


def chance(seed: int, *place: object) -> float:
    """A number from 0 to 1, the same at each call for the same seed and place."""
    digest = sha256("/".join(map(str, (seed, *place))).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def ending(seed: int, stage: str, index: int, attempt: int) -> Ending:
    """How this attempt ends, if nobody stops it."""
    habit = HABITS[stage]
    if chance(seed, stage, index, "doomed") < habit.doomed:
        return "fail" if attempt <= habit.attempts else "succeed"
    drawn = chance(seed, stage, index, attempt)
    shares: tuple[tuple[Ending, float], ...] = (("fail", habit.fail), ("hang", habit.hang), ("die", habit.die))
    for name, share in shares:
        if attempt < habit.attempts and drawn < share:
            return name
        drawn -= share
    return "succeed"


def seconds(seed: int, stage: str, index: int, attempt: int) -> float:
    """How long this attempt takes before it ends."""
    return HABITS[stage].seconds * chance(seed, stage, index, attempt, "seconds") ** 2


def numbers(seed: int) -> list[int]:
    """The items over which a job fans out; none in one job of eight."""
    drawn = chance(seed, "items")
    return [] if drawn < 1 / MOST_ITEMS else [round(100 * chance(seed, n)) for n in range(int(drawn * MOST_ITEMS))]


def fan_out_fails(seed: int) -> bool:
    """Whether the fan-out function raises, each time."""
    return chance(seed, "fan-out") < 0.03  # noqa: PLR2004 - a share


def finalizer_fails(seed: int) -> bool:
    """Whether the finalizer raises, each time."""
    return chance(seed, "finalizer") < 0.08  # noqa: PLR2004 - a share


def callback_failures(seed: int) -> int:
    """How many of the callback's first calls fail: 0 to 2."""
    return int(chance(seed, "callback") ** 2 * (CALLBACK_FAILURES + 1))
