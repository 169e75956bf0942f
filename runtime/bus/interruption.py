"""What a loop logs while its broker fails: one line when that begins, and one when it is over."""

from time import monotonic

from structlog.stdlib import BoundLogger

from ..errors import BrokerError


class Interruption:
    """Of one loop. `begins` and `ends` are the two messages; `data` is logged with both."""

    def __init__(self, log: BoundLogger, begins: str, ends: str, **data: object) -> None:
        self._log = log
        self._begins = begins
        self._ends = ends
        self._data = data
        self._since = 0.0
        self._failures = 0

    def failed(self, error: Exception) -> int:
        """Record a failure, and return how many there have been in succession."""
        if not self._failures:
            self._since = monotonic()
            write = self._log.error if isinstance(error, BrokerError) and error.lasting else self._log.warning
            write(self._begins, **self._data, error=str(error).strip())
        self._failures += 1
        return self._failures

    def succeeded(self) -> None:
        """Record a success."""
        if self._failures:
            self._failures = 0
            self._log.info(self._ends, **self._data, lasted_s=round(monotonic() - self._since, 1))
