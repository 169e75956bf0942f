"""The transport: the ends of a namespace's queues."""

from .dead_letters import DeadLetterReceiver
from .namespace import Namespace
from .receiver import LetterReceiver
from .sender import LetterSender


class ServiceBusTransport:
    """Azure Service Bus over AMQP, with the SDK."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    @classmethod
    def of(cls, given: str | None) -> "ServiceBusTransport":
        """From a connection string or the name of a namespace. Raises BrokerError where there is none."""
        return cls(Namespace.of(given))

    def sender(self, queue: str) -> LetterSender:
        """A new sender, which connects at its first use."""
        return LetterSender(self._namespace, queue)

    def receiver(self, queue: str) -> LetterReceiver:
        """A new receiver, which connects at its first use."""
        return LetterReceiver(self._namespace, queue)

    def dead_letters(self, queue: str) -> DeadLetterReceiver:
        """A new reader of the queue's dead letters."""
        return DeadLetterReceiver(self._namespace, queue)

    async def close(self) -> None:
        """Wait until the ends have closed, and let go of the credential."""
        await self._namespace.close()
