"""What a storm is asked to do, and how often each fault strikes."""

from dataclasses import dataclass
from pathlib import Path

from coremachine.runtime.settings import Settings

RECONCILE_IN_LEASES = 0.5
POLL = 0.5
GRACE = 3.0
PAUSE = 15.0
STILL = 8.0
SLACK = 3.0

KILLED = "worker killed"
TERMINATED = "worker sent SIGTERM"
STOPPED = "worker stopped, with its lease renewer"
STOPPED_ALONE = "worker stopped, its lease renewer not"
CUT = "all connections cut"
ONE_STILL = "one connection stood still"
TWO_STILL = "two connections of a worker stood still together"
LEASES_STILL = "lease renewer's connection and another of its worker stood still together"
BACKEND = "backend terminated"
RESTARTED = "PostgreSQL restarted at once"

MEANS = {
    KILLED: 8.0,
    TERMINATED: 20.0,
    STOPPED: 30.0,
    STOPPED_ALONE: 60.0,
    CUT: 30.0,
    ONE_STILL: 6.0,
    TWO_STILL: 15.0,
    LEASES_STILL: 15.0,
    BACKEND: 8.0,
    RESTARTED: 150.0,
}
"""Mean seconds between two faults of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long, how hard. Times are in seconds, but for `minutes`.

    `scale` shortens the times of the faults: the means between them, and for how long something stands still. A job
    that is open for longer than `limit` is stuck. With `only`, nothing strikes but the kinds that contain that text.
    """

    minutes: float
    seed: int
    workers: int = 3
    open_jobs: int = 25
    lease: float = 2.0
    limit: float = 120.0
    scale: float = 1.0
    only: str = ""
    keep: Path | None = None

    @property
    def seconds(self) -> float:
        """For how long jobs are submitted and faults strike."""
        return 60 * self.minutes

    @property
    def pause(self) -> float:
        """For how long a worker is stopped."""
        return PAUSE * self.scale

    @property
    def still(self) -> float:
        """For how long a connection stands still."""
        return STILL * self.scale

    @property
    def quiet(self) -> float:
        """How long a job has been over when it is judged again: no handler of a stopped worker runs any more."""
        return self.pause + self.lease + SLACK

    @property
    def settings(self) -> Settings:
        """The settings of the workers, whatever the environment says."""
        plain = {name: field.default for name, field in Settings.model_fields.items()}
        reconcile = self.lease * RECONCILE_IN_LEASES
        return Settings.model_validate(
            plain | {"lease": self.lease, "reconcile": reconcile, "poll": POLL, "grace": GRACE}
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of faults that strike."""
        return tuple(kind for kind in MEANS if self.only in kind)

    def mean(self, kind: str) -> float:
        """Mean seconds between two faults of a kind."""
        return MEANS[kind] * self.scale
