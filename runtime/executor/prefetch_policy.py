"""How long the handlers of each task type run, and how many tasks to claim ahead because of that."""

AHEAD_SECONDS = 0.05
"""Tasks that are claimed ahead should begin within so many seconds; else another worker should claim them."""

BRIEF = 0.002
"""Seconds of work that one thread does in the time that it takes to start a second one."""

WEIGHT = 0.1


class PrefetchPolicy:
    """Means of handlers' durations by task type; the latest count most."""

    def __init__(self, slots: int, largest_prefetch: int) -> None:
        self._slots = slots
        self._limit = largest_prefetch
        self._means: dict[str, float] = {}

    def observe(self, task_type: str, seconds: float) -> None:
        """Record that a handler ended after `seconds`. A long run weighs more than many short ones."""
        mean = self._means.get(task_type)
        if mean is None or seconds > AHEAD_SECONDS:
            self._means[task_type] = max(seconds, mean or 0.0)
        else:
            self._means[task_type] = mean + WEIGHT * (seconds - mean)

    def prefetch_for(self, task_type: str) -> int:
        """How many tasks of this type may wait here for a slot; 0 for a type that has not run yet."""
        mean = self._means.get(task_type)
        if mean is None:
            return 0
        return min(self._limit, int(self._slots * AHEAD_SECONDS / max(mean, 1e-6)))

    def largest_prefetch(self) -> int:
        """The largest number that may wait, for the briefest type."""
        return max(map(self.prefetch_for, self._means), default=0)

    def threads(self, task_type: str, waiting: int, awake: int) -> int:
        """How many more threads are needed for `waiting` tasks while `awake` are busy."""
        mean = self._means.get(task_type)
        if mean is None or mean > BRIEF:
            return waiting
        return min(waiting, max(0, 1 + int(mean * waiting / BRIEF) - awake))
