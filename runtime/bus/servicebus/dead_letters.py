"""Reads the dead letters of a queue."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusReceiver

from ..messages import ReceivedMessage
from ..port import DeadLetteredMessage
from .end import End
from .namespace import Namespace
from .receiver import SETTLE_SECONDS, SLACK, peek, received_of


class DeadMessageReceiver:
    """The receiver of one queue's dead letters. If it has been silent for `probe_every` seconds, it probes its link."""

    def __init__(self, namespace: Namespace, queue: str, probe_every: float) -> None:
        self._queue = queue
        self._probe_every = probe_every
        self._end: End[ServiceBusReceiver] = End(
            namespace,
            f"reading the dead letters of {queue}",
            lambda client: client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER),
        )

    async def receive(self, most: int, wait: float) -> Sequence[DeadLetteredMessage]:
        """Up to `most`; none after `wait` seconds without any, or earlier to probe the link. Raises BrokerError."""
        wait = min(wait, self._probe_every)
        received = await self._end.call(
            wait + SLACK, lambda receiver: receiver.receive_messages(max_message_count=most, max_wait_time=wait)
        )
        if received:
            self._end.answered()
        else:
            await self._end.probe(self._probe_every, peek)
        return [
            DeadLetteredMessage(
                _named(received_of(message, self._queue), message),
                message.dead_letter_reason or "no reason given",
                message.dead_letter_error_description or "",
            )
            for message in received
        ]

    async def remove(self, messages: Sequence[DeadLetteredMessage]) -> None:
        """Remove them from the broker. Raises BrokerError; one that could not be removed is received again."""

        async def complete(receiver: ServiceBusReceiver) -> None:
            for message in messages:
                await receiver.complete_message(cast("ServiceBusReceivedMessage", message.received.receipt))

        await self._end.call(SETTLE_SECONDS, complete)

    async def close(self) -> None:
        """Close the connection."""
        self._end.drop()


def _named(received: ReceivedMessage, message: ServiceBusReceivedMessage) -> ReceivedMessage:
    """A message of another program may have no id; two such messages must not be treated as one."""
    return replace(received, message_id=received.message_id or f"number {message.sequence_number}")
