"""What a job left behind in the database."""

from collections import Counter

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.store.session import Row


async def rows(app: AsyncCoreMachine, statement: str, *given: object, repairing: bool = True) -> list[Row]:
    """The rows that a statement returns; none for one that returns nothing. The owner runs it, and repairs rows."""
    async with await app.database.connection("observer") as connection:
        await connection.execute(b"SET coremachine.repairing = 'on'" if repairing else b"SELECT 1")
        cursor = await connection.execute(statement.encode(), given or None)
        return [] if cursor.description is None else await cursor.fetchall()


async def rewrite(app: AsyncCoreMachine, statement: str, *given: object) -> None:
    """Change rows as their owner with the guards out of the way."""
    async with await app.database.connection("observer") as connection:
        await connection.execute(b"SET session_replication_role = replica")
        await connection.execute(statement.encode(), given or None)


async def events_of(app: AsyncCoreMachine, job_id: str, *types: str) -> list[Row]:
    """The job's events in their order: all of them, or those of these types."""
    statement = "SELECT * FROM app.job_events WHERE job_id = %s AND (%s OR event_type = ANY(%s)) ORDER BY event_id"
    return await rows(app, statement, job_id, not types, list(types))


async def counted_events(app: AsyncCoreMachine, job_id: str) -> Counter[str]:
    """How many events of each type the job has."""
    return Counter(event["event_type"] for event in await events_of(app, job_id))


async def tasks_of(app: AsyncCoreMachine, job_id: str, stage: int | None = None) -> list[Row]:
    """The job's tasks, or those of one stage, in the order of their numbers."""
    statement = "SELECT * FROM app.tasks WHERE job_id = %s AND (%s::int IS NULL OR stage = %s) ORDER BY task_number"
    return await rows(app, statement, job_id, stage, stage)


async def everything(app: AsyncCoreMachine) -> dict[str, list[Row]]:
    """Every row of every table, to see that nothing has changed."""
    return {
        table: await rows(app, f"SELECT * FROM app.{table} AS t ORDER BY 1")  # noqa: S608 - the names stand below
        for table in ("jobs", "stages", "tasks", "callbacks", "job_events")
    }
