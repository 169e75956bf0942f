"""Sends one message twice to a queue and receives it: what that shows about the queue."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from uuid import uuid4

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender

from ..messages import CHECK
from .errors import RAISED, words_of

COPIES = 2
WAIT = 5.0
SECOND_COPY = 1.0
MOST_OTHERS = 10
LIVES = timedelta(minutes=1)


@dataclass(slots=True)
class Observation:
    """The observations. `lock` is in seconds; `others` are messages of jobs that arrived, and were abandoned."""

    message_id: str = field(default_factory=lambda: f"check:{uuid4()}")
    sent: float = 0.0
    copies: int = 0
    lock: float = 0.0
    unsettled: str | None = None
    others: int = 0


async def send_twice(sender: ServiceBusSender, seen: Observation) -> None:
    """Send the same message twice, under the same id. Workers ignore it, and it expires if it is not received."""
    for _ in range(COPIES):
        message = ServiceBusMessage(CHECK, message_id=seen.message_id, time_to_live=LIVES, subject="check")
        await sender.send_messages(message, timeout=WAIT)
        seen.sent = seen.sent or monotonic()


async def receive_them(receiver: ServiceBusReceiver, seen: Observation) -> None:
    """Receive and complete them. A message of a job that arrives before is abandoned at the end, so only once."""
    others: list[ServiceBusReceivedMessage] = []
    until = monotonic() + WAIT
    while seen.copies < COPIES and len(others) < MOST_OTHERS and seen.unsettled is None:
        wait = SECOND_COPY if seen.copies else until - monotonic()
        came = await receiver.receive_messages(max_message_count=1, max_wait_time=wait) if wait > 0 else []
        if not came:
            break
        if came[0].message_id == seen.message_id:
            await _settle(receiver, came[0], seen)
        else:
            others += came
    seen.others = len(others)
    await _give_back(receiver, others)


async def _settle(receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage, seen: Observation) -> None:
    seen.copies += 1
    if seen.copies == 1 and message.locked_until_utc is not None and message.enqueued_time_utc is not None:
        # Two times of the broker's clock, and two of this machine's: the clocks need not agree.
        locked = (message.locked_until_utc - message.enqueued_time_utc).total_seconds()
        seen.lock = locked - (monotonic() - seen.sent)
    try:
        await receiver.complete_message(message)
    except RAISED as error:
        seen.unsettled = words_of(error)


async def _give_back(receiver: ServiceBusReceiver, others: Sequence[ServiceBusReceivedMessage]) -> None:
    """A message whose lock has expired meanwhile is available again already."""
    await asyncio.gather(*(receiver.abandon_message(message) for message in others), return_exceptions=True)
