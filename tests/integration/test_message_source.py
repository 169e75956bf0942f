"""The inbox of a queue: messages are settled once their claims are committed, and kept while the database is away."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
import pytest

from coremachine.runtime.bus.broker import MessageSource
from coremachine.runtime.bus.messages import Kind, MessageRef, OutgoingMessage, ReceivedMessage
from coremachine.runtime.bus.port import Work
from coremachine.runtime.bus.settlement import Complete, Settlement
from tests.post_office import PostOffice, envelope_of

QUEUE = "coremachine-tasks"


@dataclass
class Claims:
    """Claims that tell when they were asked, and refuse as often as they are told to."""

    told: list[str] = field(default_factory=list[str])
    refusals: int = 0

    async def due(self, kind: Kind, limit: int) -> Sequence[Work]:  # noqa: ARG002 - what a bus may ask for
        """Nothing is due."""
        return ()

    async def named(self, envelopes: Sequence[ReceivedMessage]) -> tuple[Sequence[Work], Sequence[Settlement]]:
        """Win nothing, after a moment in which nothing may be settled."""
        if self.refusals:
            self.refusals -= 1
            raise psycopg.OperationalError("the server is gone")
        self.told.append(f"claiming {len(envelopes)}")
        await asyncio.sleep(0)
        self.told.append("claimed")
        return (), [Complete("a copy") for _ in envelopes]


@dataclass
class Receiver:
    """A receiver that takes its time to settle, and must not be used meanwhile."""

    office: PostOffice
    told: list[str]
    settling: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """What the post office has."""
        assert not self.settling
        self.told.append("receiving")
        return await self.office.receiver(QUEUE).receive(most, wait)

    async def settle(self, settlements: Sequence[tuple[ReceivedMessage, Settlement]]) -> int:
        """Settle when told to."""
        self.settling = True
        await self.go.wait()
        self.told.append(f"settled {len(settlements)}")
        self.settling = False
        return 0

    async def close(self) -> None:
        """Nothing is held."""


def put(office: PostOffice, number: int) -> None:
    for index in range(number):
        hint = MessageRef(kind="task", key=f"1-{index}", job_id="f" * 64, lease_number=0)
        office.put(QUEUE, envelope_of(OutgoingMessage(hint=hint, send_number=1)))


async def test_messages_are_settled_after_their_claim_and_before_the_receiver_is_used_again() -> None:
    office, claims = PostOffice(), Claims()
    receiver = Receiver(office, claims.told)
    inbox = MessageSource(receiver, claims, 0.05)
    put(office, 2)
    assert await inbox.claim(5) == ()
    assert claims.told == ["receiving", "claiming 2", "claimed"]
    put(office, 1)
    again = asyncio.create_task(inbox.claim(5))
    await asyncio.sleep(0)
    receiver.go.set()
    await again
    await inbox.close()
    told = ["settled 2", "receiving", "claiming 1", "claimed", "settled 1"]
    assert claims.told == ["receiving", "claiming 2", "claimed", *told]


async def test_messages_are_kept_while_the_database_is_away_and_not_received_anew() -> None:
    office, claims = PostOffice(), Claims(refusals=2)
    receiver = Receiver(office, claims.told)
    receiver.go.set()
    inbox = MessageSource(receiver, claims, 0.05)
    put(office, 3)
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            await inbox.claim(5)
    await inbox.claim(5)
    await inbox.close()
    assert claims.told == ["receiving", "claiming 3", "claimed", "settled 3"]
