"""A schema for one benchmark: created for the run and dropped after it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from ..app import AsyncCoreMachine
from ..settings import Settings
from ..store.queries import query
from .environment import read_environment
from .jobs import JOBS


@asynccontextmanager
async def scratch_schema(settings: Settings) -> AsyncGenerator[AsyncCoreMachine]:
    """An application on a new schema of the database that `settings` name. Raises NotDurableError."""
    own = settings.model_copy(update={"db_schema": f"bench_{uuid4().hex[:12]}"})
    async with AsyncCoreMachine(jobs=JOBS, settings=own, install=True) as app:
        try:
            await read_environment(app.database)
            yield app
        finally:
            await drop_schema(app)


async def drop_schema(app: AsyncCoreMachine) -> None:
    """Drop the schema, as its owner."""
    async with await app.database.connection("bench") as owner:
        await owner.execute(query("bench/drop_schema", app.database.schema))
