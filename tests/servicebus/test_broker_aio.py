"""The SDK for asyncio. A client is closed with its event loop, so that each test pays for its own: they are few."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusServerBusyError

from .brokers import Broker
from .fixtures import AioBus, NewQueue


async def received(receiver: ServiceBusReceiver, count: int) -> list[ServiceBusReceivedMessage]:
    found: list[ServiceBusReceivedMessage] = []
    while len(found) < count:
        more = await receiver.receive_messages(max_message_count=count - len(found), max_wait_time=20)
        assert more, "no message came"
        found += more
    return found


async def test_every_settlement_does_what_it_says(broker: Broker, aio_bus: AioBus, queue: str) -> None:
    sender, receiver = aio_bus.sender(queue), aio_bus.receiver(queue)
    batch = await sender.create_message_batch()
    for name in ("completed", "abandoned", "deferred", "dead", "renewed"):
        batch.add_message(ServiceBusMessage(name, message_id=name))
    await sender.send_messages(batch)
    completed, abandoned, deferred, dead, renewed = await received(receiver, 5)
    await receiver.complete_message(completed)
    await receiver.defer_message(deferred)
    await receiver.dead_letter_message(dead, reason="bad", error_description="not a task")
    before = renewed.locked_until_utc
    broker.configure(queue, lock_duration=300)
    after = await receiver.renew_message_lock(renewed)
    assert before is not None
    assert after > before
    await receiver.abandon_message(abandoned)
    (again,) = await received(receiver, 1)
    assert (str(again), again.delivery_count) == ("abandoned", 1)
    assert deferred.sequence_number is not None
    (set_aside,) = await receiver.receive_deferred_messages(deferred.sequence_number)
    await receiver.complete_message(set_aside)
    counts = broker.counters(queue)
    assert (counts.completed, counts.abandoned, counts.deferred, counts.dead_lettered) == (2, 1, 1, 1)
    (found,) = await received(aio_bus.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER), 1)
    assert (str(found), found.dead_letter_reason) == ("dead", "bad")


async def test_messages_are_scheduled_cancelled_and_peeked(broker: Broker, aio_bus: AioBus, queue: str) -> None:
    sender, when = aio_bus.sender(queue), datetime.now(UTC) + timedelta(days=1)
    first, _ = await sender.schedule_messages([ServiceBusMessage("one"), ServiceBusMessage("two")], when)
    await sender.cancel_scheduled_messages(first)
    peeked = await aio_bus.receiver(queue).peek_messages(5)
    assert [str(message) for message in peeked] == ["two"]
    assert [told.state for told in broker.messages(queue)] == ["scheduled"]


async def test_a_lock_that_is_gone_is_lost(broker: Broker, aio_bus: AioBus, queue: str) -> None:
    await aio_bus.sender(queue).send_messages(ServiceBusMessage("one"))
    receiver = aio_bus.receiver(queue)
    (held,) = await received(receiver, 1)
    broker.expire_locks(queue)
    with pytest.raises(MessageLockLostError):
        await receiver.complete_message(held)
    assert broker.counters(queue).completed == 0


async def test_a_lost_acknowledgement_leaves_two_copies_unless_duplicates_are_detected(
    broker: Broker, aio_bus: AioBus, new_queue: NewQueue
) -> None:
    plain, detecting = new_queue(), new_queue(requires_duplicate_detection=True)
    for queue in (plain, detecting):
        broker.lose_send_ack(queue)
        await aio_bus.sender(queue).send_messages(ServiceBusMessage("one", message_id="one"))
    assert [len(broker.messages(queue)) for queue in (plain, detecting)] == [2, 1]
    assert broker.counters(detecting).duplicates == 1


async def test_a_detached_link_and_a_throttled_send_are_survived_and_endless_throttling_is_not(
    broker: Broker, aio_bus: AioBus, queue: str
) -> None:
    sender = aio_bus.sender(queue)
    broker.detach("send", queue, condition="amqp:link:detach-forced")
    await sender.send_messages(ServiceBusMessage("one", message_id="one"))
    broker.throttle(queue)
    await sender.send_messages(ServiceBusMessage("two", message_id="two"))
    broker.throttle(queue, times=None)
    with pytest.raises(ServiceBusServerBusyError):
        await sender.send_messages(ServiceBusMessage("three"))
    assert [told.message_id for told in broker.messages(queue)] == ["one", "two"]
