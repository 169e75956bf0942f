"""What a worker that is gone leaves behind: an open stage, and tasks that nobody renews."""

from collections.abc import Mapping
from typing import Any

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.flow.flow import Flow
from coremachine.runtime.flow.handle_job import handle_job_message
from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.rows import JobMessage
from coremachine.statemachine.tables import JOBS, TASKS
from tests.observing import rows

GONE = "gone"
EXPIRE = (
    "UPDATE app.tasks SET lease_expires_at = now() - interval '1 second', lease_owner = 'gone'"
    " WHERE status = 'processing' RETURNING task_id"
)


async def handle_messages(app: AsyncCoreMachine) -> None:
    """Handle every job message that is due, once, as the worker that will be gone."""
    for message in await claimed_messages(app):
        await handle_job_message(Flow(app.database, app.bus, GONE, uncalled), app.jobs, message)


async def claimed_messages(app: AsyncCoreMachine) -> list[JobMessage]:
    """Claim every job message that is due, as the worker that will be gone."""
    claim = Claim(record=JOBS, types=list(app.jobs), limit=100, owner=GONE, lease=10.0)
    async with app.database.session() as session:
        due = await claim_due(session, claim)
    return [JobMessage.of(row) for row in due]


async def claim_tasks(app: AsyncCoreMachine) -> int:
    """Claim every task that is due, as the worker that will be gone. Returns how many there were."""
    kinds = [name for job in app.jobs.values() for name in job.tasks]
    async with app.database.session() as session:
        claim = Claim(record=TASKS, types=kinds, limit=100, owner=GONE, lease=10.0)
        return len(await claim_due(session, claim))


async def lose(app: AsyncCoreMachine) -> None:
    """Open what is due, claim its tasks, and let their leases run out."""
    await handle_messages(app)
    assert await claim_tasks(app)
    await rows(app, EXPIRE)


async def uncalled(_function: object, _given: Mapping[str, object]) -> Any:
    """For a flow that must not call user code."""
    raise AssertionError("these jobs have no code of a user's to call")
