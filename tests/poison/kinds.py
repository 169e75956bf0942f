"""The kinds of rows and messages that nobody can handle, each put where a worker meets it again and again."""

from collections.abc import Awaitable, Callable, Mapping

import psycopg

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.messages import ReceivedMessage
from coremachine.runtime.bus.port import DeadLetteredMessage
from tests.post_office import PostOffice

Poison = Callable[[AsyncCoreMachine, PostOffice, str, str], Awaitable[None]]
"""Given an application, the broker, and the ids of a completed job and of one that waits for a worker."""

LARGEST = 2_147_483_647
ORPHAN = """
INSERT INTO app.tasks (task_id, job_id, stage_id, stage, task_index, task_number, task_type, item, max_rescues)
SELECT 'orphan', job_id, stage_id, stage, 7, 7, task_type, '1', 0 FROM app.stages WHERE job_id = %s AND stage = 1
"""


async def unguarded(app: AsyncCoreMachine, statement: str, *given: object) -> None:
    """Run a statement as the owner where no trigger fires and no number is out of range."""
    async with await psycopg.AsyncConnection.connect(app.database.url, autocommit=True) as connection:
        await connection.execute("SET session_replication_role = replica")
        for table in ("jobs", "stages", "tasks", "callbacks"):
            await connection.execute(f"ALTER TABLE app.{table} DROP CONSTRAINT IF EXISTS {table}_in_range".encode())
        await connection.execute(statement.encode(), given or None)


async def nothing(_app: AsyncCoreMachine, _office: PostOffice, _ended: str, _waiting: str) -> None:
    """A sound database."""


async def orphan(app: AsyncCoreMachine, _office: PostOffice, ended: str, _waiting: str) -> None:
    """A task that was added to a stage that has ended."""
    await unguarded(app, ORPHAN, ended)


async def overflow(app: AsyncCoreMachine, _office: PostOffice, _ended: str, waiting: str) -> None:
    """A job message whose next lease number would overflow."""
    await unguarded(app, f"UPDATE app.jobs SET lease_number = {LARGEST} WHERE job_id = %s", waiting)  # noqa: S608


async def never_due(app: AsyncCoreMachine, _office: PostOffice, _ended: str, waiting: str) -> None:
    """A job message that is never due."""
    await unguarded(app, "UPDATE app.jobs SET due_at = 'infinity' WHERE job_id = %s", waiting)


async def never_ended(app: AsyncCoreMachine, _office: PostOffice, ended: str, _waiting: str) -> None:
    """A job that ended at no time."""
    await unguarded(app, "UPDATE app.jobs SET finished_at = 'infinity' WHERE job_id = %s", ended)


async def odd_dead_letter(_app: AsyncCoreMachine, office: PostOffice, ended: str, _waiting: str) -> None:
    """A dead letter whose id is a number."""
    body = f'{{"v":1,"kind":"job","key":"{ended}","job_id":"{ended}","lease_number":0}}'.encode()
    for queue in ("coremachine-jobs", "coremachine-tasks"):
        received = ReceivedMessage(message_id=7, body=body, queue=queue)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        office.dead[queue].append(DeadLetteredMessage(received, "Odd", ""))


KINDS: Mapping[str, Poison] = {
    "an orphaned task": orphan,
    "a lease number that overflows": overflow,
    "a message that is never due": never_due,
    "a job that ended at no time": never_ended,
    "a dead letter whose id is a number": odd_dead_letter,
}
