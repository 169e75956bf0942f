"""Receives under locks, without prefetch: a locked message is processed and settled at once."""

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
from .end import PROBE_SECONDS, End
from .errors import RAISED
from .namespace import Namespace

log = logger("servicebus")
SLACK = 10.0
SETTLE_SECONDS = 10.0
SETTLED_AT_ONCE = 20
DESCRIPTION = 1_024
MOST = 500
GROWTH = 4


class MessageReceiver:
    """The receiver of one queue. If it has been silent for `probe_every` seconds, it probes its link."""

    def __init__(self, namespace: Namespace, queue: str, probe_every: float) -> None:
        self._queue = queue
        self._end: End[ServiceBusReceiver] = End(
            namespace, f"receiving from {queue}", lambda client: client.get_queue_receiver(queue, prefetch_count=0)
        )
        self._probe_every = probe_every
        self._asked = 1
        self._silent: BrokerError | None = None

    @property
    def opened(self) -> ServiceBusReceiver | None:
        """The SDK's open receiver, or None."""
        return self._end.handle

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """Up to `most` messages; none after `wait` seconds without any. Raises BrokerError."""
        silent, self._silent = self._silent, None
        if silent is not None:
            raise silent
        asked, began = min(most, self._asked), monotonic()
        received = await self._end.call(
            wait + SLACK, lambda receiver: receiver.receive_messages(max_message_count=asked, max_wait_time=wait)
        )
        self._ask_next(len(received), asked, slept=monotonic() - began > wait / 2)
        if received:
            self._end.answered()
        else:
            await self._end.probe(self._probe_every, peek)
        return [received_of(message, self._queue) for message in received]

    async def settle(self, settlements: Sequence[tuple[ReceivedMessage, Settlement]]) -> int:
        """Settle each. Returns how many are uncertain because their lock or link was lost."""
        known = 0
        for first in range(0, len(settlements), SETTLED_AT_ONCE):
            receiver = self._end.handle
            if receiver is None:
                break  # the link that received these messages is gone, and their locks expire by themselves
            some = settlements[first : first + SETTLED_AT_ONCE]
            settling = [_settle(receiver, received, settlement) for received, settlement in some]
            try:
                async with asyncio.timeout(SETTLE_SECONDS):
                    known += sum(await asyncio.gather(*settling))
            except TimeoutError:
                self._end.drop()
                # Not raised here: that a settlement is uncertain is harmless. That the line is silent is reported.
                self._silent = BrokerError(f"settling on {self._queue}", f"no answer within {SETTLE_SECONDS:g} s")
            except RAISED as error:
                log.info("settling was not confirmed", queue=self._queue, error=repr(error))
                self._end.drop()
        return len(settlements) - known

    async def close(self) -> None:
        """Abandon the locked messages, and close the connection."""
        self._end.drop()

    def _ask_next(self, received: int, asked: int, *, slept: bool) -> None:
        """The SDK returns at once only with as many messages as were requested; else it waits 0.2 s for more.

        So it requests one while the queue is short, which arrives at once, and four times as many each time that all
        that were requested arrived, however slow the link; but only one after a time without messages.
        """
        if received < asked:
            self._asked = max(1, min(asked // 2, received))
        elif not slept:
            self._asked = max(self._asked, min(GROWTH * asked, MOST))


async def peek(receiver: ServiceBusReceiver) -> object:
    """The probe of a receiver: a request that changes nothing."""
    return await receiver.peek_messages(1, timeout=PROBE_SECONDS / 2)


def received_of(message: ServiceBusReceivedMessage, queue: str) -> ReceivedMessage:
    """A message as the worker receives it. `delivery_count` counts from 0."""
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
    """The id as text. In AMQP another program may use a number, a UUID or bytes, despite the SDK's types."""
    given: object = message.message_id
    return "" if given is None else _text(given)


def body_of(message: ServiceBusReceivedMessage) -> bytes:
    """The body as bytes; for a body that is not bytes, a description of it."""
    try:
        return b"".join(cast("Sequence[bytes]", message.body))
    except TypeError:
        return repr(message.body).encode()


async def _settle(receiver: ServiceBusReceiver, received: ReceivedMessage, settlement: Settlement) -> bool:
    """Settle one. False if the lock was lost: it may have been settled all the same (pitfall 1)."""
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
