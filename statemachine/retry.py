"""When a failed attempt is tried again: exponential back-off with jitter, as a value."""

from collections.abc import Callable
from dataclasses import dataclass
from random import random

from .errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Seconds before the next attempt: `first`, then times `factor`, at most `most`, spread by `jitter`.

    Jitter is the random share of the delay: 0.5 gives between 75 % and 125 % of it. Without it, tasks
    that failed together are retried together.
    """

    first: float = 1.0
    factor: float = 2.0
    most: float = 300.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if self.first < 0 or self.factor < 1 or self.most < self.first or not 0 <= self.jitter <= 1:
            raise DefinitionError(f"{self}: it needs first ≥ 0, factor ≥ 1, most ≥ first and 0 ≤ jitter ≤ 1")

    def delay(self, attempt: int, chance: Callable[[], float] = random) -> float:
        """Seconds to wait after attempt number `attempt` (from 1) has failed."""
        steps = min(attempt - 1, 1000)
        try:
            plain = min(self.most, self.first * self.factor**steps)
        except OverflowError:
            plain = self.most
        return plain * (1 + self.jitter * (chance() - 0.5))
