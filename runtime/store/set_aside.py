"""Items that a step could not handle are set aside: recorded for audit and why, and tried again later each time."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import psycopg

from .database import Database
from .reports import in_a_line, short
from .text import cleaned, error_data

FIRST_SECONDS: Final = 10.0
MOST_SECONDS: Final = 600.0
ITEM_LENGTH: Final = 200


class Unhandled(NamedTuple):
    """An item that could not be handled: its name in its step, its job if it has one, and the error."""

    item: str
    job_id: str | None
    error: Exception


async def set_aside(database: Database, step: str, unhandled: Sequence[Unhandled], worker: str) -> Mapping[str, float]:
    """Record that these could not be handled in `step`; return for how many seconds each is left out.

    Raises psycopg.Error if that cannot be written.
    """
    items = {cleaned(one.item, ITEM_LENGTH): (one.job_id, _data(one.error)) for one in unhandled}
    given = {
        "step": step,
        "items": list(items),
        "job_ids": [job_id for job_id, _ in items.values()],
        "errors": [json.dumps(data) for _, data in items.values()],
        "worker": worker,
        "first": FIRST_SECONDS,
        "most": MOST_SECONDS,
    }
    async with database.transaction() as session:
        rows = await session.fetch("store/set_aside", given)
        seconds = {row["item"]: float(row["seconds"]) for row in rows}
        for item, (job_id, data) in items.items():
            session.report(
                "error",
                "an item could not be handled, and is set aside",
                step=step,
                item=item,
                **({"job": short(job_id)} if job_id else {}),
                again_in_s=round(seconds[item]),
                error=in_a_line(data),
            )
    return seconds


def _data(error: Exception) -> dict[str, object]:
    """The error; for an error of the database only its own text, without the statements that led to it."""
    data = error_data(error)
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        data["message"] = cleaned(error.diag.message_primary)
    return data
