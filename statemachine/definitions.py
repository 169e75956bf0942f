"""The shape of a job and of a stage as stored with a submission, so that it does not change under a running job."""

from collections.abc import Mapping
from typing import Any

from .retry import Backoff
from .stage import Kind, Policy


class JobDefinition:
    """The stored shape of a job. A property raises KeyError if the stored shape lacks it."""

    __slots__ = ("stored",)

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self.stored = stored

    @property
    def has_finalizer(self) -> bool:
        """Whether a finalizer makes the job's result."""
        return bool(self.stored["finalize"])

    @property
    def finalizer_required(self) -> bool:
        """Whether the job fails if its finalizer does."""
        return bool(self.stored["finalize_required"])

    @property
    def has_callback(self) -> bool:
        """Whether `on_job_complete` runs after the job has completed."""
        return bool(self.stored["on_job_complete"])

    @property
    def callback_attempts(self) -> int:
        """How often the callback is attempted."""
        return int(self.stored["callback_attempts"])


class StageDefinition:
    """The stored shape of a stage. A property raises KeyError if the stored shape lacks it."""

    __slots__ = ("stored",)

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self.stored = stored

    @property
    def kind(self) -> Kind:
        """How the stage gets its tasks."""
        kind: Kind = self.stored["kind"]
        return kind

    @property
    def source(self) -> Mapping[str, str]:
        """Where its input comes from: the name of a `stage`, a `parameter` or a `function`. Empty if it has none."""
        return self.stored["source"] or {}

    @property
    def at_least(self) -> int:
        """The fewest tasks with which the stage may open."""
        return int(self.stored["at_least"])

    @property
    def policy(self) -> Policy:
        """What happens to the siblings of a task that fails for good."""
        policy: Policy = self.stored["policy"]
        return policy

    @property
    def max_attempts(self) -> int:
        """How often a task is attempted."""
        return int(self.stored["max_attempts"])

    @property
    def max_rescues(self) -> int:
        """How many workers a task may lose."""
        return int(self.stored["max_rescues"])

    @property
    def timeout(self) -> float | None:
        """Seconds that an attempt may take."""
        timeout: float | None = self.stored["timeout"]
        return timeout

    @property
    def backoff(self) -> Backoff:
        """When a failed attempt is tried again."""
        first, factor, most, jitter = self.stored["backoff"]
        return Backoff(first=first, factor=factor, most=most, jitter=jitter)
