"""What each attempt of each task does: random, but the same for the handler and for the check."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

PlannedOutcome = Literal["succeed", "fail", "hang", "die"]

ERROR_TYPES: dict[PlannedOutcome, str] = {
    "fail": "PlannedError",
    "hang": "HandlerTimeoutError",
    "die": "ChildDiedError",
}
TIMEOUT = 10.0
"""Seconds until a handler that hangs times out. The others need a fraction of it, even on a loaded machine."""
MOST_ITEMS = 8
CALLBACK_FAILURES = 2


class PlannedError(Exception):
    """Raised by a handler when the plan says that it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the tasks of a stage behave. Shares are between 0 and 1.

    `attempts` is the number of attempts that a task has, `seconds` the longest time that one takes. `doomed` tasks fail
    in each of their `attempts`; the others may `fail`, `hang` or `die` in each attempt but the last.
    """

    seconds: float = 0.3
    attempts: int = 1
    doomed: float = 0.0
    fail: float = 0.0
    hang: float = 0.0
    die: float = 0.0


BEHAVIOURS = {
    "plan": Behaviour(attempts=4, fail=0.1),
    "work": Behaviour(attempts=4, seconds=0.6, fail=0.15, doomed=0.02),
    "collect": Behaviour(attempts=4, fail=0.1),
    "sibling": Behaviour(seconds=0.6, doomed=0.06),
    "settle": Behaviour(attempts=2, fail=0.1),
    "child": Behaviour(attempts=4, seconds=0.4, fail=0.1, hang=0.01, die=0.05, doomed=0.01),
    "sum": Behaviour(),
    "begin": Behaviour(attempts=3, fail=0.1),
    "wave": Behaviour(attempts=3, fail=0.1, doomed=0.02),
    "first": Behaviour(attempts=3, seconds=3.0, fail=0.1, hang=0.03),
    "second": Behaviour(attempts=3, seconds=3.0, fail=0.1, doomed=0.1),
}
"""By the name of the stage, in any job."""


def chance(seed: int, *key: object) -> float:
    """A number from 0 to 1, the same at each call for the same seed and key."""
    digest = sha256("/".join(map(str, (seed, *key))).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def planned_outcome(seed: int, stage: str, index: int, attempt: int) -> PlannedOutcome:
    """How this attempt ends, if nobody stops it."""
    behaviour = BEHAVIOURS[stage]
    if chance(seed, stage, index, "doomed") < behaviour.doomed:
        return "fail" if attempt <= behaviour.attempts else "succeed"
    drawn = chance(seed, stage, index, attempt)
    shares: tuple[tuple[PlannedOutcome, float], ...] = (
        ("fail", behaviour.fail),
        ("hang", behaviour.hang),
        ("die", behaviour.die),
    )
    for name, share in shares:
        if attempt < behaviour.attempts and drawn < share:
            return name
        drawn -= share
    return "succeed"


def seconds(seed: int, stage: str, index: int, attempt: int) -> float:
    """How long this attempt takes before it ends."""
    return BEHAVIOURS[stage].seconds * chance(seed, stage, index, attempt, "seconds") ** 2


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
