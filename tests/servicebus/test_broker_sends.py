from azure.servicebus import ServiceBusMessage

from .brokers import Broker
from .fixtures import AioBus, Bus


def test_a_message_sent_is_enqueued(broker: Broker, bus: Bus, queue: str) -> None:
    bus.sender(queue).send_messages(ServiceBusMessage("one", message_id="m1"))
    assert [message.message_id for message in broker.messages(queue)] == ["m1"]


async def test_a_message_sent_by_asyncio_is_enqueued(broker: Broker, aio_bus: AioBus, queue: str) -> None:
    await aio_bus.sender(queue).send_messages(ServiceBusMessage("one", message_id="m1"))
    assert [message.message_id for message in broker.messages(queue)] == ["m1"]
