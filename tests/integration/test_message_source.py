"""The messages of a queue are settled once their claims are committed, and kept while the database is away."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import pytest

from coremachine.runtime.bus.broker import BrokerMessageSource
from coremachine.runtime.bus.messages import MessageRef, OutgoingMessage, ReceivedMessage
from coremachine.runtime.bus.settlement import Complete, Settlement
from coremachine.runtime.worker.sources import MessageWork
from tests.post_office import PostOffice, received_of

QUEUE = "coremachine-tasks"


@dataclass
class Claimer:
    """Records when it claimed, and refuses as often as it is asked to."""

    log: list[str] = field(default_factory=list[str])
    refusals: int = 0

    async def claim_named(self, messages: Sequence[ReceivedMessage]) -> tuple[Sequence[Any], Sequence[Settlement]]:
        """Win nothing, after a moment in which nothing may be settled."""
        if self.refusals:
            self.refusals -= 1
            raise psycopg.OperationalError("the server is gone")
        self.log.append(f"claiming {len(messages)}")
        await asyncio.sleep(0)
        self.log.append("claimed")
        return (), [Complete("a copy") for _ in messages]


def work_of(receiver: "Receiver", claimer: Claimer) -> MessageWork:
    """What a worker has of this receiver."""
    return MessageWork(BrokerMessageSource(QUEUE, ("task",), receiver, 0.05), cast("Any", claimer))


@dataclass
class Receiver:
    """A receiver that takes its time to settle, and must not be used meanwhile."""

    office: PostOffice
    log: list[str]
    settling: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """What the post office has."""
        assert not self.settling
        self.log.append("receiving")
        return await self.office.receiver(QUEUE).receive(most, wait)

    async def settle(self, settlements: Sequence[tuple[ReceivedMessage, Settlement]]) -> int:
        """Settle when told to."""
        self.settling = True
        await self.go.wait()
        self.log.append(f"settled {len(settlements)}")
        self.settling = False
        return 0

    async def close(self) -> None:
        """Nothing is held."""


def put(office: PostOffice, number: int) -> None:
    for index in range(number):
        ref = MessageRef(kind="task", key=f"1-{index}", job_id="f" * 64, lease_number=0)
        office.put(QUEUE, received_of(OutgoingMessage(ref=ref, send_number=1)))


async def test_messages_are_settled_after_their_claim_and_before_the_receiver_is_used_again() -> None:
    office, claimer = PostOffice(), Claimer()
    receiver = Receiver(office, claimer.log)
    source = work_of(receiver, claimer)
    put(office, 2)
    assert await source.claim(5) == ()
    assert claimer.log == ["receiving", "claiming 2", "claimed"]
    put(office, 1)
    again = asyncio.create_task(source.claim(5))
    await asyncio.sleep(0)
    receiver.go.set()
    await again
    await source.close()
    later = ["settled 2", "receiving", "claiming 1", "claimed", "settled 1"]
    assert claimer.log == ["receiving", "claiming 2", "claimed", *later]


async def test_messages_are_kept_while_the_database_is_away_and_not_received_again() -> None:
    office, claimer = PostOffice(), Claimer(refusals=2)
    receiver = Receiver(office, claimer.log)
    receiver.go.set()
    source = work_of(receiver, claimer)
    put(office, 3)
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            await source.claim(5)
    await source.claim(5)
    await source.close()
    assert claimer.log == ["receiving", "claiming 3", "claimed", "settled 3"]
