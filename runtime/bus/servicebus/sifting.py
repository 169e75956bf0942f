"""Receiving, with the messages of a check completed on the way: a worker never hears of them."""

from collections.abc import Sequence

from ..messages import ReceivedMessage, is_check
from ..settlement import Complete
from .receiver import MessageReceiver


class SiftingReceiver(MessageReceiver):
    """The receiver of one queue, as workers have it."""

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """As MessageReceiver does, without checks."""
        received = await super().receive(most, wait)
        checks = [received for received in received if is_check(received)]
        if not checks:
            return received
        await self.settle([(received, Complete("a check of the queue")) for received in checks])
        return [received for received in received if not is_check(received)]
