"""Receiving, with the messages of a check completed on the way: a worker never hears of them."""

from collections.abc import Sequence

from ..messages import ReceivedMessage, is_check
from ..settlement import Complete
from .receiver import LetterReceiver


class SiftingReceiver(LetterReceiver):
    """The receiver of one queue, as workers have it."""

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """As LetterReceiver does, without checks."""
        received = await super().receive(most, wait)
        checks = [envelope for envelope in received if is_check(envelope)]
        if not checks:
            return received
        await self.settle([(envelope, Complete("a check of the queue")) for envelope in checks])
        return [envelope for envelope in received if not is_check(envelope)]
