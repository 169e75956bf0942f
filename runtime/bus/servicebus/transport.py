"""The transport: senders and receivers of a namespace's queues."""

from .dead_letters import DeadMessageReceiver
from .namespace import Namespace
from .receiver import PROBE_EVERY
from .sender import MessageSender
from .sifting import SiftingReceiver


class ServiceBusTransport:
    """Azure Service Bus over AMQP, with the SDK.

    A receiver that has received nothing for `probe_every` seconds probes its link.
    """

    def __init__(self, namespace: Namespace, probe_every: float = PROBE_EVERY) -> None:
        self._namespace = namespace
        self._probe_every = probe_every

    @classmethod
    def of(cls, given: str | None) -> "ServiceBusTransport":
        """From a connection string or the name of a namespace. Raises BrokerError if there is none."""
        return cls(Namespace.of(given))

    def sender(self, queue: str) -> MessageSender:
        """A new sender, which connects at its first use."""
        return MessageSender(self._namespace, queue)

    def receiver(self, queue: str) -> SiftingReceiver:
        """A new receiver, which connects at its first use."""
        return SiftingReceiver(self._namespace, queue, self._probe_every)

    def dead_letters(self, queue: str) -> DeadMessageReceiver:
        """A new reader of the queue's dead letters."""
        return DeadMessageReceiver(self._namespace, queue)

    async def close(self) -> None:
        """Wait until the ends are closed, and close the credential."""
        await self._namespace.close()
