"""The pace of handlers: how long those of each task type last, and so how many tasks are worth claiming ahead."""

AHEAD_SECONDS = 0.05
"""What is claimed ahead is to be begun within so many seconds; else somebody else had better take it."""

BRIEF = 0.002
"""A thread does so many seconds of work in the time that it takes to get a second one going."""

WEIGHT = 0.1


class Pace:
    """Means of handlers' durations by task type; the latest count most."""

    def __init__(self, places: int, most_ahead: int) -> None:
        self._places = places
        self._most_ahead = most_ahead
        self._means: dict[str, float] = {}

    def heard(self, task_type: str, seconds: float) -> None:
        """A handler has ended after `seconds`. One that lasted counts for more than many that did not."""
        mean = self._means.get(task_type)
        if mean is None or seconds > AHEAD_SECONDS:
            self._means[task_type] = max(seconds, mean or 0.0)
        else:
            self._means[task_type] = mean + WEIGHT * (seconds - mean)

    def ahead(self, task_type: str) -> int:
        """How many tasks of this type may wait here for those that run. None of a type that was never seen."""
        mean = self._means.get(task_type)
        if mean is None:
            return 0
        return min(self._most_ahead, int(self._places * AHEAD_SECONDS / max(mean, 1e-6)))

    def most_ahead(self) -> int:
        """The most that may wait, of the briefest type."""
        return max(map(self.ahead, self._means), default=0)

    def threads(self, task_type: str, waiting: int, awake: int) -> int:
        """How many more threads are to take on `waiting` tasks while `awake` are at work."""
        mean = self._means.get(task_type)
        if mean is None or mean > BRIEF:
            return waiting
        return min(waiting, max(0, 1 + int(mean * waiting / BRIEF) - awake))
