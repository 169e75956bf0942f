"""Logs: structlog writes to the standard library's logging, so that an application configures them as usual.

By default only warnings and errors are printed.
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

FIELDS = "coremachine"


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger `coremachine.<name>`: `log.info("what happened", key=value)`."""
    return cast(
        "structlog.stdlib.BoundLogger",
        structlog.wrap_logger(
            logging.getLogger(f"coremachine.{name}"),
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[structlog.stdlib.filter_by_level, structlog.processors.format_exc_info, _to_standard],
            cache_logger_on_first_use=False,
        ),
    )


def configure(level: str = "INFO", *, as_json: bool = False) -> None:
    """Send the logs of CoreMachine to stderr: readable lines, or one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    root = logging.getLogger("coremachine")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(level.upper())


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, FIELDS, {"event": record.getMessage()})
        at = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        return json.dumps({"at": at, "level": record.levelname, "logger": record.name, **fields}, default=str)


def _to_standard(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, dict[str, object]]]:
    fields = dict(event)
    trace = fields.pop("exception", None)
    parts = [str(fields.get("event", ""))]
    parts += [f"{name}={value!r}" for name, value in fields.items() if name != "event"]
    text = " ".join(parts) + (f"\n{trace}" if trace else "")
    return (text,), {"extra": {FIELDS: dict(event)}}
