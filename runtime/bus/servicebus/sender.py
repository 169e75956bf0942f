"""Sending letters: in batches as large as the queue takes, with ids that are the same at every try."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusSender
from azure.servicebus.exceptions import MessageSizeExceededError

from ..messages import OutgoingMessage
from .end import End
from .namespace import Namespace

SEND_SECONDS = 5.0
JSON = "application/json"


class LetterSender:
    """The sender of one queue."""

    def __init__(self, namespace: Namespace, queue: str) -> None:
        self._end: End[ServiceBusSender] = End(
            namespace, f"sending to {queue}", lambda client: client.get_queue_sender(queue)
        )

    async def open(self) -> None:
        """Connect, where it has not. Raises BrokerError."""
        await self._end.open()

    async def send(self, letters: Sequence[OutgoingMessage]) -> None:
        """Send them all. Raises BrokerError where it is not known that each was taken."""
        await self._end.call(SEND_SECONDS, lambda sender: _send(sender, letters))

    async def close(self) -> None:
        """Let go of the connection."""
        self._end.drop()


async def _send(sender: ServiceBusSender, letters: Sequence[OutgoingMessage]) -> None:
    batch = await sender.create_message_batch()
    for letter in letters:
        message = message_of(letter)
        try:
            batch.add_message(message)
        except MessageSizeExceededError:
            await sender.send_messages(batch, timeout=SEND_SECONDS)
            batch = await sender.create_message_batch()
            batch.add_message(message)
    if len(batch):
        await sender.send_messages(batch, timeout=SEND_SECONDS)


def message_of(letter: OutgoingMessage) -> ServiceBusMessage:
    """The message of a letter; one with a delay is scheduled, and the broker holds it back."""
    at = datetime.now(UTC) + timedelta(seconds=letter.delay) if letter.delay > 0 else None
    return ServiceBusMessage(
        letter.body,
        message_id=letter.message_id,
        content_type=JSON,
        subject=letter.hint.kind,
        scheduled_enqueue_time_utc=at,
    )
