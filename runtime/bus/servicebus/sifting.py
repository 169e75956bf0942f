"""Receives, and completes the messages of a check, so that a worker does not receive them."""

from collections.abc import Sequence

from ..messages import ReceivedMessage, is_check
from ..settlement import Complete
from .receiver import MessageReceiver


class SiftingReceiver(MessageReceiver):
    """The receiver of one queue, for workers."""

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """As MessageReceiver does, without messages of a check."""
        received = await super().receive(most, wait)
        checks = [received for received in received if is_check(received)]
        if not checks:
            return received
        await self.settle([(received, Complete("a check of the queue")) for received in checks])
        return [received for received in received if not is_check(received)]
