"""What a soak is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from ..settings import Settings

POLL = 0.5
GRACE = 3.0
PAUSES_IN_LEASES = (1.5, 4.0)
PAUSES_BY_DEFAULT = (15.0, 25.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long, how hard, with which leases. Times are in seconds, but for `minutes`.

    `kill_every` and `restart_every` are means. `open_jobs` are kept open at a time. `keep` is a directory for the
    report, the logs and what the handlers have left; without it nothing stays.
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
        """The settings of the workers: those that everybody has by default, or short leases."""
        plain = {name: field.default for name, field in Settings.model_fields.items()}  # whatever the environment says
        short = {"lease": self.lease, "reconcile": self.reconcile, "poll": POLL, "grace": GRACE}
        return Settings.model_validate(plain if self.defaults else plain | short)

    @property
    def pauses(self) -> tuple[float, float]:
        """The shortest and the longest time for which a worker is stopped: longer than a lease."""
        shortest, longest = PAUSES_IN_LEASES
        return PAUSES_BY_DEFAULT if self.defaults else (shortest * self.lease, longest * self.lease)

    @property
    def quiet(self) -> float:
        """How long a job has been over before it is judged: until then a worker that was stopped may still write."""
        return 5 + max(2 * self.settings.lease, self.pauses[1])
