"""The options of a soak."""

from dataclasses import dataclass
from pathlib import Path

from ..settings import Settings

POLL = 0.5
GRACE = 3.0
PAUSES_IN_LEASES = (1.5, 4.0)
PAUSES_BY_DEFAULT = (15.0, 25.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long, how hard, with which leases. Times are in seconds, except for `minutes`.

    `kill_every` and `restart_every` are means. `open_jobs` is the number of jobs kept open. `keep` is a directory for
    the report, the logs and the handlers' files; without it nothing is kept.
    """

    minutes: float
    workers: int
    lease: float
    reconcile: float
    kill_every: float
    restart_every: float
    open_jobs: int
    seed: int
    defaults: bool = False
    keep: Path | None = None

    @property
    def settings(self) -> Settings:
        """The settings of the workers: the defaults, or short leases."""
        return default_settings() if self.defaults else short_settings(self.lease, self.reconcile)

    @property
    def pauses(self) -> tuple[float, float]:
        """The shortest and the longest time for which a worker is stopped: longer than a lease."""
        shortest, longest = PAUSES_IN_LEASES
        return PAUSES_BY_DEFAULT if self.defaults else (shortest * self.lease, longest * self.lease)

    @property
    def quiet(self) -> float:
        """Seconds between the end of a job and its check: until then a stopped worker may still write."""
        return 5 + max(2 * self.settings.lease, self.pauses[1])


def default_settings(**changes: float) -> Settings:
    """The default settings with some changes. The environment is ignored."""
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    return Settings.model_validate(defaults | changes)


def short_settings(lease: float, reconcile: float) -> Settings:
    """Settings with this lease, this time between reconciler runs, and short waits."""
    return default_settings(lease=lease, reconcile=reconcile, poll=POLL, grace=GRACE)
