"""What a handler reports while it runs: checked at once, and not passed on too often."""

import json
import threading
import time
from collections.abc import Mapping

from ...statemachine.context import Emit
from ...statemachine.results import json_text

BETWEEN_PROGRESS_SECONDS = 1.0


class ProgressThrottle:
    """Passes on what one handler reports. May be called from any thread.

    Raises ResultError, in the handler, for data that cannot be JSON: written later, it would hurt the writer instead.
    It passes on one progress report a second, and at the end the last: a handler may report each of a million rows.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._quiet_until = 0.0
        self._held_back: Mapping[str, object] | None = None
        self._lock = threading.Lock()

    def __call__(self, kind: str, data: Mapping[str, object]) -> None:
        """Pass on a checkpoint or progress."""
        plain = json.loads(json_text(data, kind))
        if kind != "progress" or self._may_emit(plain):
            self._emit(kind, plain)

    def end(self) -> None:
        """The handler has ended: pass on its last progress, if that was held back."""
        with self._lock:
            last, self._held_back = self._held_back, None
        if last is not None:
            self._emit("progress", last)

    def _may_emit(self, data: Mapping[str, object]) -> bool:
        now = time.monotonic()
        with self._lock:
            quiet = now < self._quiet_until
            self._held_back = data if quiet else None
            if not quiet:
                self._quiet_until = now + BETWEEN_PROGRESS_SECONDS
        return not quiet
