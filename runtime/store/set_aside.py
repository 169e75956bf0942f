"""Items that a step could not handle are set aside: recorded for audit and why, and tried again later each time."""

import json
from typing import Final

import psycopg

from ..logs import logger
from .database import Database
from .text import error_data

log = logger("set_aside")
FIRST_SECONDS: Final = 10.0
MOST_SECONDS: Final = 600.0


async def set_aside(  # noqa: PLR0913 - each by its name
    database: Database, step: str, item: str, job_id: str | None, error: Exception, *, worker: str
) -> float:
    """Record that `item` could not be handled in `step`; return for how many seconds it is left out.

    Raises psycopg.Error where that cannot be written.
    """
    told = error_data(error)
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        told["message"] = error.diag.message_primary  # without the statements that led to it, which the log has
    given = {"step": step, "item": item, "job_id": job_id, "error": json.dumps(told), "worker": worker}
    async with database.session() as session:
        (row,) = await session.fetch("set_aside", {**given, "first": FIRST_SECONDS, "most": MOST_SECONDS})
    seconds = float(row["seconds"])
    log.error(
        "an item could not be handled, and is set aside",
        step=step,
        item=item,
        job=job_id,
        again_in_s=round(seconds),
        exc_info=error,
    )
    return seconds
