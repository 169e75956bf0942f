"""Logs go to standard error: readable lines on a terminal, lines of JSON otherwise."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor

from ..logs import FIELDS

Level = Literal["debug", "info", "warning", "error"]


def configure_logs(level: Level) -> None:
    """Make structlog and the standard library log from `level` on, in the same form."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = _renderers()
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _restore_fields],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
    logging.getLogger("coremachine").setLevel(number)


def _restore_fields(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The fields of our log lines as keys again: the standard library received them as text."""
    fields: dict[str, object] = getattr(event["_record"], FIELDS, {})
    return {**event, **fields}


def _renderers() -> list[Processor]:
    if sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
