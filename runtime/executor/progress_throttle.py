"""What a handler says while it runs, before the worker hears it: checked where it is said, and not too often."""

import json
import threading
import time
from collections.abc import Mapping

from ...statemachine.context import Tell
from ...statemachine.results import json_text

BETWEEN_PROGRESS = 1.0


class ProgressThrottle:
    """Passes on what one handler says. May be called from any thread.

    Raises ResultError, in the handler, for data that cannot be JSON: written later, it would hurt the writer instead.
    Of progress it passes on one a second, and at the end the last: a handler may tell of each of a million rows.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._quiet_until = 0.0
        self._untold: Mapping[str, object] | None = None
        self._lock = threading.Lock()

    def __call__(self, kind: str, data: Mapping[str, object]) -> None:
        """Pass on a checkpoint or progress."""
        plain = json.loads(json_text(data, kind))
        if kind != "progress" or self._may_tell(plain):
            self._tell(kind, plain)

    def end(self) -> None:
        """The handler has ended: tell its last progress, if that was held back."""
        with self._lock:
            last, self._untold = self._untold, None
        if last is not None:
            self._tell("progress", last)

    def _may_tell(self, data: Mapping[str, object]) -> bool:
        now = time.monotonic()
        with self._lock:
            quiet = now < self._quiet_until
            self._untold = data if quiet else None
            if not quiet:
                self._quiet_until = now + BETWEEN_PROGRESS
        return not quiet
