"""The audit replays the records of a user's own, each from the log that it has."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from psycopg import AsyncConnection

from coremachine.examples.approval import APPROVALS, publish
from coremachine.runtime.app import AsyncCoreMachine

OWNER = "ALTER TABLE {0} DISABLE TRIGGER USER; {1}; ALTER TABLE {0} ENABLE TRIGGER USER"


@pytest_asyncio.fixture
async def app(empty_url: str) -> AsyncIterator[AsyncCoreMachine]:
    """An application with an approval that was asked for and given."""
    async with AsyncCoreMachine(empty_url, jobs=[publish], records=[APPROVALS], install=True) as opened:
        job = await opened.submit(publish, title="Elevation of Campbell County")
        await opened.work(until_idle=True)
        await opened.records.fire(APPROVALS, job.id, "approve", {"decided_by": "a reviewer"})
        yield opened


async def damaged(app: AsyncCoreMachine, table: str, statement: str) -> list[tuple[str, str]]:
    """What the replay finds after the owner has switched the rules off for a statement."""
    async with await AsyncConnection[Any].connect(app.database.url, autocommit=True) as owner:
        await owner.execute(OWNER.format(table, statement).encode())
    findings = (await app.audit(["GAP-11"])).findings
    return [(one.subject.split()[0], one.detail) for finding in findings for one in finding.examples]


async def test_a_record_that_moved_as_declared_replays(app: AsyncCoreMachine) -> None:
    assert not (await app.audit(["GAP-11"])).findings


async def test_a_state_that_no_event_leads_to_is_found(app: AsyncCoreMachine) -> None:
    moved = "UPDATE app.approvals SET status = 'rejected'"
    assert await damaged(app, "app.approvals", moved) == [("approval", "it is rejected; its events lead to approved")]


async def test_an_event_that_was_taken_away_is_found(app: AsyncCoreMachine) -> None:
    gone = "DELETE FROM app.approval_events WHERE event_type = 'approval_given'"
    assert await damaged(app, "app.approval_events", gone) == [
        ("approval", "it is approved; its events lead to pending")
    ]


async def test_events_of_a_row_that_is_gone_are_found(app: AsyncCoreMachine) -> None:
    freed = "ALTER TABLE app.approval_events DROP CONSTRAINT fk_approval_events_approval_id"
    gone = (freed, "DELETE FROM app.approvals")
    assert await damaged(app, "app.approvals", "; ".join(gone)) == [("approval", "it has events but no row")]
