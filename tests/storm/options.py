"""The options of a storm, and how often each fault strikes."""

from dataclasses import dataclass
from pathlib import Path

from coremachine.runtime.settings import Settings
from coremachine.runtime.soak.options import short_settings

RECONCILE_IN_LEASES = 0.5
PAUSE = 15.0
CONNECTION_PAUSE = 8.0
SLACK = 3.0

KILLED = "worker killed"
TERMINATED = "worker sent SIGTERM"
STOPPED = "worker stopped, with its lease renewer"
STOPPED_ALONE = "worker stopped, its lease renewer not"
CUT = "all connections cut"
ONE_PAUSED = "one connection paused"
TWO_PAUSED = "two connections of a worker paused together"
LEASES_PAUSED = "lease renewer's connection and another of its worker paused together"
BACKEND = "backend terminated"
RESTARTED = "PostgreSQL restarted"

MEANS = {
    KILLED: 8.0,
    TERMINATED: 20.0,
    STOPPED: 30.0,
    STOPPED_ALONE: 60.0,
    CUT: 30.0,
    ONE_PAUSED: 6.0,
    TWO_PAUSED: 15.0,
    LEASES_PAUSED: 15.0,
    BACKEND: 8.0,
    RESTARTED: 150.0,
}
"""Mean seconds between two faults of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long, how hard. Times are in seconds, except for `minutes`.

    `scale` shortens the times of the faults: the means between them, and the lengths of pauses. A job
    that is open for longer than `limit` is stuck. With `only`, only the kinds that contain that text strike.
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
    def connection_pause(self) -> float:
        """For how long a connection is paused."""
        return CONNECTION_PAUSE * self.scale

    @property
    def quiet(self) -> float:
        """Seconds between the end of a job and its second check: then no handler of a stopped worker runs any more."""
        return self.pause + self.lease + SLACK

    @property
    def settings(self) -> Settings:
        """The settings of the workers. The environment is ignored."""
        return short_settings(self.lease, self.lease * RECONCILE_IN_LEASES)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of faults that strike."""
        return tuple(kind for kind in MEANS if self.only in kind)

    def mean(self, kind: str) -> float:
        """Mean seconds between two faults of a kind."""
        return MEANS[kind] * self.scale
