"""The one clock, moved by the schema's owner: what is due in an hour is due now."""

from datetime import timedelta

from coremachine.runtime.app import AsyncCoreMachine

MOVED = """
CREATE OR REPLACE FUNCTION app.clock() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $body$ SELECT pg_catalog.clock_timestamp() + interval '%s seconds' $body$
"""


async def clock_moves(app: AsyncCoreMachine, ahead: timedelta) -> None:
    """Move the database's clock ahead, further than it has been moved before."""
    async with await app.database.connection("clock") as owner:
        cursor = await owner.execute("SELECT extract(epoch FROM app.clock() - clock_timestamp())::float8 AS now")
        row = await cursor.fetchone()
        assert row is not None
        seconds = row["now"] + ahead.total_seconds()
        await owner.execute((MOVED % seconds).encode())
