"""Receiving under locks, with no prefetch: what is locked is at once decided upon, and settled."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import cast

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import MessageAlreadySettled, MessageLockLostError

from ...errors import BrokerError
from ...logs import logger
from ..messages import ReceivedMessage
from ..settlement import Abandon, DeadLetter, Settlement
from .end import End
from .errors import RAISED
from .namespace import Namespace

log = logger("servicebus")
SLACK = 10.0
SETTLE_SECONDS = 10.0
SETTLED_AT_ONCE = 20
PROBE_EVERY = 20.0
PROBE_SECONDS = 5.0
DESCRIPTION = 1_024
MOST = 500
GROWTH = 4


class MessageReceiver:
    """The receiver of one queue. One that has been silent for `probe_every` seconds is asked whether it still lives."""

    def __init__(self, namespace: Namespace, queue: str, probe_every: float = PROBE_EVERY) -> None:
        self._queue = queue
        self._end: End[ServiceBusReceiver] = End(
            namespace, f"receiving from {queue}", lambda client: client.get_queue_receiver(queue, prefetch_count=0)
        )
        self._probe_every = probe_every
        self._heard = monotonic()
        self._asked = 1

    @property
    def opened(self) -> ServiceBusReceiver | None:
        """The SDK's receiver that is open; None where none is."""
        return self._end.handle

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """Up to `most` messages; none after `wait` seconds without any. Raises BrokerError."""
        asked, began = min(most, self._asked), monotonic()
        received = await self._end.call(
            wait + SLACK, lambda receiver: receiver.receive_messages(max_message_count=asked, max_wait_time=wait)
        )
        self._ask_next(len(received), asked, slept=monotonic() - began > wait / 2)
        if received:
            self._heard = monotonic()
        elif monotonic() - self._heard > self._probe_every:
            await self._probe()
        return [received_of(message, self._queue) for message in received]

    async def settle(self, settlements: Sequence[tuple[ReceivedMessage, Settlement]]) -> int:
        """Settle each. Returns of how many it is not known whether the broker did: their lock or link was lost."""
        known = 0
        for first in range(0, len(settlements), SETTLED_AT_ONCE):
            receiver = self._end.handle
            if receiver is None:
                break  # those who received these messages are gone, and their locks end by themselves
            some = settlements[first : first + SETTLED_AT_ONCE]
            settling = [_settle(receiver, received, settlement) for received, settlement in some]
            try:
                async with asyncio.timeout(SETTLE_SECONDS):
                    known += sum(await asyncio.gather(*settling))
            except RAISED as error:
                log.info("settling was not answered", queue=self._queue, error=repr(error))
                self._end.drop()
        return len(settlements) - known

    async def close(self) -> None:
        """Give back what is locked, and let go of the connection."""
        self._end.drop()

    def _ask_next(self, received: int, asked: int, *, slept: bool) -> None:
        """The SDK returns at once only with as many messages as were asked for; else it waits 0.2 s for more.

        So one is asked for while the queue is short, which is then there at once, and four times as many each time that
        as many came as were asked for, however slow the link is; but not where nobody had anything to send for a while.
        """
        if received < asked:
            self._asked = max(1, min(asked // 2, received))
        elif not slept:
            self._asked = max(self._asked, min(GROWTH * asked, MOST))

    async def _probe(self) -> None:
        """Ask for something that must be answered: of a half-open link nothing else is heard (pitfall 2)."""
        try:
            await self._end.call(PROBE_SECONDS, lambda receiver: receiver.peek_messages(1, timeout=PROBE_SECONDS / 2))
        except BrokerError as error:
            log.warning("a silent link was found dead and is made anew", queue=self._queue, error=str(error))
        self._heard = monotonic()


def received_of(message: ServiceBusReceivedMessage, queue: str) -> ReceivedMessage:
    """A message as the worker sees it. `delivery_count` counts from 0."""
    properties = message.application_properties or {}
    return ReceivedMessage(
        message_id=id_of(message),
        body=body_of(message),
        delivery_count=message.delivery_count or 0,
        queue=queue,
        properties={_text(name): _text(value) for name, value in properties.items()},
        locked_until=message.locked_until_utc,
        receipt=message,
    )


def id_of(message: ServiceBusReceivedMessage) -> str:
    """The id as text. AMQP lets others give a number, a UUID or bytes, whatever the SDK's types say."""
    given: object = message.message_id
    return "" if given is None else _text(given)


def body_of(message: ServiceBusReceivedMessage) -> bytes:
    """The body as bytes; of a message whose body is none, what tells of it."""
    try:
        return b"".join(cast("Sequence[bytes]", message.body))
    except TypeError:
        return repr(message.body).encode()


async def _settle(receiver: ServiceBusReceiver, received: ReceivedMessage, settlement: Settlement) -> bool:
    """Settle one. False where the lock was lost: it may have been settled all the same (pitfall 1)."""
    message = cast("ServiceBusReceivedMessage", received.receipt)
    try:
        match settlement:
            case DeadLetter(reason, description):
                await receiver.dead_letter_message(message, reason=reason, error_description=description[:DESCRIPTION])
            case Abandon():
                await receiver.abandon_message(message)
            case _:
                await receiver.complete_message(message)
    except (MessageLockLostError, MessageAlreadySettled):
        return False
    return True


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
