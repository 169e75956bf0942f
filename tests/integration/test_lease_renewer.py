"""The lease renewer by itself: what it renews, when it stops, and what becomes of it when it is killed."""

import logging
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from coremachine import AsyncCoreMachine, Job, Stage, task
from coremachine.runtime.leases import renewer
from coremachine.runtime.leases.lease_table import LeaseTable
from coremachine.runtime.leases.renewer import LeaseRenewer
from coremachine.runtime.store.session import Row
from tests.databases import OpenApp
from tests.integration.lost_worker import GONE, claim_tasks, handle_messages
from tests.observing import rows
from tests.renewers import renewer_is_up, renewer_of
from tests.waiting import until, until_row

LEASE = 2.0
RENEWED = "SELECT FROM app.tasks WHERE lease_expires_at > now() + interval '1 second' HAVING count(*) = %s"
EXPIRED = "SELECT FROM app.tasks WHERE lease_expires_at < app.clock() HAVING count(*) = %s"
SHORT = "UPDATE app.tasks SET lease_expires_at = now() RETURNING task_id AS key, lease_number"


@task
def one(number: int) -> int:
    return number


KEPT = Job("kept", [Stage("each", one, each="numbers")])


@pytest.fixture(name="claimed")
async def claimed_fixture(open_app: OpenApp) -> AsyncCoreMachine:
    """Two tasks that a worker has claimed, whose leases run out at this moment."""
    app = await open_app(KEPT)
    await app.submit(KEPT, numbers=[1, 2])
    await handle_messages(app)
    assert await claim_tasks(app) == 2
    return app


@contextmanager
def kept(app: AsyncCoreMachine, held: LeaseTable) -> Generator[LeaseRenewer]:
    """A renewer of what `held` says, for the worker that made the claims."""
    renewer = LeaseRenewer(app.database, held, GONE, LEASE)
    renewer.start()
    try:
        yield renewer
    finally:
        renewer.stop()


async def leases_of(app: AsyncCoreMachine) -> list[Row]:
    """Let the leases run out at this moment, and return them."""
    return await rows(app, SHORT)


def hold(held: LeaseTable, some: list[Row]) -> None:
    with held.claiming("task") as won:
        won.update({row["key"]: row["lease_number"] for row in some})


async def test_f40_what_a_claim_may_have_won_is_kept_until_its_answer_has_been_read(claimed: AsyncCoreMachine) -> None:
    held = LeaseTable()
    with kept(claimed, held):
        with held.claiming("task"):
            await leases_of(claimed)
            await until_row(claimed, RENEWED, 2)
        await until_row(claimed, EXPIRED, 2)  # the answer was lost: they are not held, and are given up


async def test_what_is_dropped_is_not_renewed_any_more(claimed: AsyncCoreMachine) -> None:
    held = LeaseTable()
    hold(held, await leases_of(claimed))
    with kept(claimed, held):
        await until_row(claimed, RENEWED, 2)
        key, number = (await leases_of(claimed))[0].values()
        held.drop("task", [(key, number - 1)])  # of an earlier lease: the one that is held stays
        held.drop("task", [(key, number)])
        left = await until_row(claimed, "SELECT task_id FROM app.tasks WHERE lease_expires_at < app.clock()")
    assert left["task_id"] == key


async def test_f40_while_one_of_two_claims_is_under_way_all_that_is_held_is_renewed(claimed: AsyncCoreMachine) -> None:
    """One is of the feed, the other of an opening: it may be committed though nobody here knows yet."""
    held = LeaseTable()
    with kept(claimed, held), held.claiming("task"):
        with held.claiming("task"):
            pass
        await leases_of(claimed)
        await until_row(claimed, RENEWED, 2)


async def test_f40_a_renewer_that_is_killed_is_started_again_and_told_everything(
    claimed: AsyncCoreMachine, caplog: pytest.LogCaptureFixture
) -> None:
    held = LeaseTable()
    with kept(claimed, held):
        hold(held, await leases_of(claimed))
        first = await renewer_of(os.getpid())
        await renewer_is_up(claimed)
        os.kill(first, signal.SIGKILL)
        await renewer_of(os.getpid(), other_than=first)
        await leases_of(claimed)
        await until_row(claimed, RENEWED, 2)
    (told,) = [record for record in caplog.records if record.name == "coremachine.leases"]
    assert (told.levelno, f"code={-signal.SIGKILL}" in told.getMessage()) == (logging.ERROR, True)


async def test_f40_a_renewer_that_does_not_listen_is_replaced(
    claimed: AsyncCoreMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewer, "_PATIENCE", 0.1)
    held = LeaseTable()
    with kept(claimed, held):
        first = await renewer_of(os.getpid())
        os.kill(first, signal.SIGSTOP)
        held.drop("task", [("more than the pipe takes" * 10_000, 1)])
        hold(held, await leases_of(claimed))
        await renewer_of(os.getpid(), other_than=first)
        await until_row(claimed, RENEWED, 2)


async def test_a_renewer_passes_on_that_a_task_is_to_stop(claimed: AsyncCoreMachine) -> None:
    held, heard = LeaseTable(), list[str]()
    some = await leases_of(claimed)
    hold(held, some)
    held.set_stop_functions({some[0]["key"]: heard.append})
    await rows(claimed, "UPDATE app.stages SET stop_reason = 'enough'")

    async def asked() -> list[str]:
        return heard

    with kept(claimed, held):
        await until(asked, "a wish to stop")
    assert heard[0] == "enough"
