"""The transport: senders and receivers of a namespace's queues."""

from .dead_letters import DeadMessageReceiver
from .namespace import Namespace
from .sender import MessageSender
from .sifting import SiftingReceiver

PROBE_EVERY = 20.0
"""The longest time for which a link may be silent before it is probed."""

SHORTEST_SILENCE = 1.0


class ServiceBusTransport:
    """Azure Service Bus over AMQP, with the SDK.

    A link on which the broker has answered nothing for `probe_every` seconds is probed.
    """

    def __init__(self, namespace: Namespace, probe_every: float = PROBE_EVERY) -> None:
        self._namespace = namespace
        self._probe_every = probe_every

    @classmethod
    def of(cls, given: str | None, lease: float = 2 * PROBE_EVERY) -> "ServiceBusTransport":
        """From a connection string or the name of a namespace. Raises BrokerError if there is none.

        A link is probed after half a `lease` of silence, so that a dead one is noticed within about a lease.
        """
        return cls(Namespace.of(given), min(PROBE_EVERY, max(SHORTEST_SILENCE, lease / 2)))

    def sender(self, queue: str) -> MessageSender:
        """A new sender, which connects at its first use."""
        return MessageSender(self._namespace, queue, self._probe_every)

    def receiver(self, queue: str) -> SiftingReceiver:
        """A new receiver, which connects at its first use."""
        return SiftingReceiver(self._namespace, queue, self._probe_every)

    def dead_letters(self, queue: str) -> DeadMessageReceiver:
        """A new reader of the queue's dead letters."""
        return DeadMessageReceiver(self._namespace, queue, self._probe_every)

    async def close(self) -> None:
        """Wait until the ends are closed, and close the credential."""
        await self._namespace.close()
