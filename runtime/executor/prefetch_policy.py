"""How long handlers run, by task type those of each task type last, and so how many tasks are worth claiming ahead."""

AHEAD_SECONDS = 0.05
"""What is claimed ahead is to be begun within so many seconds; else somebody else had better take it."""

BRIEF = 0.002
"""A thread does so many seconds of work in the time that it takes to get a second one going."""

WEIGHT = 0.1


class PrefetchPolicy:
    """Means of handlers' durations by task type; the latest count most."""

    def __init__(self, slots: int, largest_prefetch: int) -> None:
        self._slots = slots
        self._limit = largest_prefetch
        self._means: dict[str, float] = {}

    def observe(self, task_type: str, seconds: float) -> None:
        """A handler has ended after `seconds`. One that lasted counts for more than many that did not."""
        mean = self._means.get(task_type)
        if mean is None or seconds > AHEAD_SECONDS:
            self._means[task_type] = max(seconds, mean or 0.0)
        else:
            self._means[task_type] = mean + WEIGHT * (seconds - mean)

    def prefetch_for(self, task_type: str) -> int:
        """How many tasks of this type may wait here for those that run. None of a type that was never seen."""
        mean = self._means.get(task_type)
        if mean is None:
            return 0
        return min(self._limit, int(self._slots * AHEAD_SECONDS / max(mean, 1e-6)))

    def largest_prefetch(self) -> int:
        """The most that may wait, of the briefest type."""
        return max(map(self.prefetch_for, self._means), default=0)

    def threads(self, task_type: str, waiting: int, awake: int) -> int:
        """How many more threads are to take on `waiting` tasks while `awake` are at work."""
        mean = self._means.get(task_type)
        if mean is None or mean > BRIEF:
            return waiting
        return min(waiting, max(0, 1 + int(mean * waiting / BRIEF) - awake))
