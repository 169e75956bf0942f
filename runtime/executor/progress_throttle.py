"""A handler's reports while it runs: checked at once, and passed on at a limited rate."""

import json
import threading
import time
from collections.abc import Mapping

from ...statemachine.context import Emit
from ...statemachine.results import json_text

BETWEEN_PROGRESS_SECONDS = 1.0


class ProgressThrottle:
    """Passes on the reports of one handler. May be called from any thread.

    Raises ResultError, in the handler, for data that cannot be JSON: later it would fail in the writer instead.
    It passes on one progress report per second, and the last one: a handler may report each of a million rows.
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
        """Pass on the last progress of a handler that has ended, if that was held back."""
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
