"""A queue with a sender and a receiver of the SDK that a module's tests share: to open one takes half a second."""

from dataclasses import dataclass
from typing import Any

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusReceiver, ServiceBusSender

from .brokers import Broker
from .entities import Told


@dataclass
class Bench:
    """One queue, with what is needed to use it and to look into it."""

    broker: Broker
    queue: str
    sender: ServiceBusSender
    receiver: ServiceBusReceiver

    def send(self, *bodies: str, **given: Any) -> None:
        """Send one message for each body; the body is also its message id."""
        for body in bodies:
            self.sender.send_messages(ServiceBusMessage(body, message_id=body, **given))

    def receive(self, count: int = 1) -> list[ServiceBusReceivedMessage]:
        """So many messages. Not more is asked for: what came later would be given to a receiver that does not look."""
        found: list[ServiceBusReceivedMessage] = []
        while len(found) < count:
            more = self.receiver.receive_messages(max_message_count=count - len(found), max_wait_time=20)
            assert more, f"no message came; the queue has {self.held}"
            found += more
        return found

    @property
    def held(self) -> list[str | None]:
        """The ids of the messages in the queue."""
        return [told.message_id for told in self.broker.messages(self.queue)]

    @property
    def dead(self) -> list[Told]:
        """The messages in its dead letter queue."""
        return self.broker.dead_letters(self.queue)
