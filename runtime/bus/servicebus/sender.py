"""Sends messages: in batches as large as the queue accepts, with ids that are the same at every try."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusSender
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    OperationTimeoutError,
    ServiceBusCommunicationError,
    ServiceBusConnectionError,
    ServiceBusError,
)

from ..messages import OutgoingMessage
from .end import PROBE_SECONDS, End
from .namespace import Namespace

SEND_SECONDS = 5.0
JSON = "application/json"
NO_MESSAGE = 0
"""A sequence number that no message has: they begin at 1."""

UNANSWERED = (OperationTimeoutError, ServiceBusConnectionError, ServiceBusCommunicationError)


class MessageSender:
    """The sender of one queue. If it has been silent for `probe_every` seconds, `open` probes its link."""

    def __init__(self, namespace: Namespace, queue: str, probe_every: float) -> None:
        self._probe_every = probe_every
        self._end: End[ServiceBusSender] = End(
            namespace, f"sending to {queue}", lambda client: client.get_queue_sender(queue)
        )

    async def open(self) -> None:
        """Connect, if it has not, and probe a silent link. Raises BrokerError."""
        await self._end.open()
        await self._end.probe(self._probe_every, _cancel_nothing)

    async def send(self, messages: Sequence[OutgoingMessage]) -> None:
        """Send them all. Raises BrokerError if it is not certain that each was accepted."""
        await self._end.call(SEND_SECONDS, lambda sender: _send(sender, messages))
        self._end.answered()

    async def close(self) -> None:
        """Close the connection."""
        self._end.drop()


async def _send(sender: ServiceBusSender, messages: Sequence[OutgoingMessage]) -> None:
    batch = await sender.create_message_batch()
    for message in messages:
        sent = message_of(message)
        try:
            batch.add_message(sent)
        except MessageSizeExceededError:
            await sender.send_messages(batch, timeout=SEND_SECONDS)
            batch = await sender.create_message_batch()
            batch.add_message(sent)
    if len(batch):
        await sender.send_messages(batch, timeout=SEND_SECONDS)


async def _cancel_nothing(sender: ServiceBusSender) -> None:
    """The probe of a sender, which may only send: it cancels a message that there is not. A refusal is an answer."""
    try:
        await sender.cancel_scheduled_messages(NO_MESSAGE, timeout=PROBE_SECONDS / 2)
    except UNANSWERED:
        raise
    except ServiceBusError:
        return


def message_of(message: OutgoingMessage) -> ServiceBusMessage:
    """The message as the SDK expects it. A message with a delay is scheduled: the broker holds it back."""
    at = datetime.now(UTC) + timedelta(seconds=message.delay) if message.delay > 0 else None
    return ServiceBusMessage(
        message.body,
        message_id=message.message_id,
        content_type=JSON,
        subject=message.ref.kind,
        scheduled_enqueue_time_utc=at,
    )
