"""Of a record of the user's own, what is tied to its states changes only with a move; what is not may change."""

from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from coremachine.examples.approval import APPROVALS, publish
from coremachine.runtime.app import AsyncCoreMachine
from tests.observing import rows


@pytest_asyncio.fixture
async def app(empty_url: str) -> AsyncIterator[AsyncCoreMachine]:
    """An application with an approval that was given."""
    async with AsyncCoreMachine(empty_url, jobs=[publish], records=[APPROVALS], install=True) as opened:
        job = await opened.submit(publish, title="Elevation of Campbell County")
        await opened.work(until_idle=True)
        await opened.records.fire(APPROVALS, job.id, "approve", {"decided_by": "a reviewer"})
        yield opened


@pytest.mark.parametrize("change", ["decided_by = 'somebody else'", "decided_at = now()", "decided_by = NULL"])
async def test_who_decided_and_when_does_not_change_without_a_move(app: AsyncCoreMachine, change: str) -> None:
    statement = f"UPDATE app.approvals SET {change} RETURNING decided_by"  # noqa: S608 - test SQL
    with pytest.raises(psycopg.Error, match="the row stays approved") as refused:
        await rows(app, statement, repairing=False)
    assert refused.value.sqlstate == "CM007"
    await rows(app, "DROP TRIGGER approvals_6_ended ON app.approvals")  # an approval that was given has ended, so far
    with pytest.raises(psycopg.Error, match="the row stays approved"):
        await rows(app, statement, repairing=False)
    await rows(app, "DROP TRIGGER approvals_5_kept ON app.approvals")
    assert await rows(app, statement, repairing=False)


async def test_data_may_change_in_any_state_and_tied_columns_of_an_ended_row_may_not(app: AsyncCoreMachine) -> None:
    (row,) = await rows(app, "UPDATE app.approvals SET summary = 'shorter' RETURNING approval_id, summary")
    assert row["summary"] == "shorter"
    await app.records.fire(APPROVALS, row["approval_id"], "revoke", {"decided_by": "the author"})
    await rows(app, "DROP TRIGGER approvals_5_kept ON app.approvals")
    with pytest.raises(psycopg.Error, match="the row stays revoked"):
        await rows(app, "UPDATE app.approvals SET decided_by = 'nobody'", repairing=False)
    assert await rows(app, "UPDATE app.approvals SET summary = 'gone' RETURNING summary")
