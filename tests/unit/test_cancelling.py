import asyncio

import pytest

from coremachine.runtime.executor import cancelling
from coremachine.runtime.executor.cancelling import cancel_all


async def test_a_task_that_lost_its_first_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "ASK_AGAIN", 0.01)
    never = asyncio.Event()

    async def lose_one() -> None:
        try:
            await never.wait()
        except asyncio.CancelledError:
            await never.wait()

    task = asyncio.create_task(lose_one())
    await asyncio.wait([task], timeout=0)  # it has begun to wait

    await asyncio.wait_for(cancel_all([task]), timeout=10)

    assert task.cancelled()


async def test_nothing_to_cancel_is_no_error() -> None:
    await cancel_all([])
