"""What the SDK and Service Bus are known to do to those who trust them, one by one, on the real SDK."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from azure.servicebus.aio import ServiceBusClient

from coremachine.runtime.bus.messages import MessageRef, OutgoingMessage, ReceivedMessage
from coremachine.runtime.bus.servicebus import ServiceBusTransport
from coremachine.runtime.bus.servicebus.namespace import Namespace
from coremachine.runtime.bus.servicebus.receiver import MessageReceiver
from coremachine.runtime.bus.servicebus.sender import MessageSender
from coremachine.runtime.bus.settlement import Abandon, Complete, DeadLetter, Settlement
from coremachine.runtime.errors import BrokerError
from tests.servicebus.brokers import Broker
from tests.servicebus.fixtures import NewQueue
from tests.waiting import until

DONE = Complete("done")


def messages(number: int, send_number: int = 1) -> list[OutgoingMessage]:
    refs = [MessageRef(kind="task", key=f"1-{index}", job_id="f" * 64, lease_number=0) for index in range(number)]
    return [OutgoingMessage(ref=ref, send_number=send_number) for ref in refs]


@pytest_asyncio.fixture
async def transport(broker: Broker, caplog: pytest.LogCaptureFixture) -> AsyncIterator[ServiceBusTransport]:
    caplog.set_level(logging.CRITICAL + 1, logger="azure")
    made = ServiceBusTransport(Namespace(broker.connection_string), probe_every=0.5)
    yield made
    await made.close()
    gc.collect()


async def received_ids(receiver: MessageReceiver, number: int) -> list[str]:
    """Receive and complete until that many messages have come; their ids."""
    ids: list[str] = []

    async def all_came() -> bool:
        try:
            came = await receiver.receive(10, 0.5)
        except BrokerError:
            return False
        ids.extend(received.message_id for received in came)
        await receiver.settle([(received, DONE) for received in came])
        return len(ids) >= number

    await until(all_came, f"{number} messages")
    return ids


async def send_anew(sender: MessageSender, some: list[OutgoingMessage]) -> None:
    """Send, and once more where the link was found lost: a relay does the same."""
    try:
        await sender.send(some)
    except BrokerError:
        await sender.send(some)


@pytest.mark.parametrize("drop", [True, False])
async def test_pitfall_1_a_settlement_that_is_not_answered_is_unknown_and_no_error(
    transport: ServiceBusTransport, broker: Broker, queue: str, monkeypatch: pytest.MonkeyPatch, *, drop: bool
) -> None:
    monkeypatch.setattr("coremachine.runtime.bus.servicebus.receiver.SETTLE_SECONDS", 3.0)
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    await sender.send(messages(1))
    (received,) = await receiver.receive(1, 5)
    broker.lose_settle_reply(queue, drop=drop)
    assert await receiver.settle([(received, DONE)]) == 1
    counted = broker.counters(queue)
    assert (counted.completed, counted.held) == (1, 0)
    await sender.send(messages(1, send_number=2))
    assert await received_ids(receiver, 1) == ["task:1-0:0:2"]
    await sender.close()
    await receiver.close()


async def test_pitfall_2_a_silent_link_is_probed_and_made_anew(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    receiver = transport.receiver(queue)
    assert await receiver.receive(1, 0.1) == []
    broker.stall()
    broker.heal()
    sender = transport.sender(queue)
    await sender.send(messages(1))
    assert await received_ids(receiver, 1) == ["task:1-0:0:1"]
    await sender.close()
    await receiver.close()


async def test_pitfall_2_a_send_into_silence_ends_and_says_so(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender = transport.sender(queue)
    await sender.send(messages(1))
    broker.stall(queue)
    async with asyncio.timeout(30):
        with pytest.raises(BrokerError) as refused:
            await sender.send(messages(1, send_number=2))
    assert not refused.value.lasting
    broker.heal()
    await sender.send(messages(1, send_number=3))
    await sender.close()


async def test_pitfall_3_a_detached_link_is_made_anew(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    await sender.send(messages(1))
    await received_ids(receiver, 1)
    broker.detach_links(queue)
    await send_anew(sender, messages(1, send_number=2))
    assert set(await received_ids(receiver, 1)) == {"task:1-0:0:2"}
    await sender.close()
    await receiver.close()


async def test_pitfalls_4_and_7_a_lock_that_was_lost_is_no_error_and_the_message_comes_again(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    await sender.send(messages(1))
    (received,) = await receiver.receive(1, 5)
    opened = receiver.opened
    broker.expire_locks(queue)
    assert await receiver.settle([(received, DONE)]) == 1
    assert receiver.opened is opened
    (again,) = await receiver.receive(1, 5)
    assert (again.message_id, again.delivery_count) == (received.message_id, 1)
    assert await receiver.settle([(again, DONE)]) == 0
    await sender.close()
    await receiver.close()


async def test_pitfall_5_nothing_is_locked_beyond_what_was_asked_for(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    await sender.send(messages(10))
    (received,) = await receiver.receive(1, 5)
    assert (broker.counters(queue).locked, broker.counters(queue).delivered) == (1, 1)
    await receiver.settle([(received, DONE)])
    await sender.close()
    await receiver.close()


async def test_pitfall_6_one_receiver_serves_every_poll_and_its_end_leaves_nothing_locked(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    receiver = transport.receiver(queue)
    assert await receiver.receive(1, 0.1) == []
    opened = receiver.opened
    assert opened is not None
    assert await receiver.receive(1, 0.1) == []
    assert receiver.opened is opened
    await receiver.close()
    sender = transport.sender(queue)
    await sender.send(messages(3))
    await sender.close()
    assert (broker.counters(queue).locked, broker.counters(queue).held) == (0, 3)


async def test_pitfall_6_a_message_that_comes_after_an_empty_poll_is_given_back_uncounted_at_the_end(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    assert await receiver.receive(1, 0.1) == []
    await sender.send(messages(1))
    await asyncio.to_thread(broker.until, queue, lambda counts: counts.locked == 1, "it lies in the SDK's buffer")
    await receiver.close()
    await asyncio.to_thread(broker.until, queue, lambda counts: counts.locked == 0, "it is given back")
    (told,) = broker.messages(queue)
    assert (told.delivery_count, broker.counters(queue).released) == (0, 1)
    assert receiver.opened is None, "no link is left that messages would be locked for"
    await sender.close()


async def test_pitfall_7_a_link_lost_before_the_settlement_leaves_it_unknown_and_the_next_is_received(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    await sender.send(messages(1))
    (received,) = await receiver.receive(1, 5)
    broker.detach_links(queue)
    assert await receiver.settle([(received, DONE)]) == 1
    await send_anew(sender, messages(1, send_number=2))
    assert await received_ids(receiver, 1) == ["task:1-0:0:2"]
    await sender.close()
    await receiver.close()


async def test_pitfall_7_a_broker_lost_before_the_settlement_is_no_error_and_the_message_comes_again(
    own_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="azure")
    queue = own_broker.create_queue("queue")
    made = ServiceBusTransport(Namespace(own_broker.connection_string))
    sender, receiver = made.sender(queue), made.receiver(queue)
    await sender.send(messages(1))
    (received,) = await receiver.receive(1, 5)
    own_broker.stop()
    assert await receiver.settle([(received, DONE)]) == 1
    assert receiver.opened is None
    own_broker.start(keep=True)
    own_broker.expire_locks(queue)
    assert await received_ids(receiver, 1) == [received.message_id]
    assert own_broker.counters(queue).held == 0
    for end in (sender, receiver, made):
        await end.close()
    gc.collect()


async def test_pitfall_8_one_sender_that_many_use_before_it_is_open_opens_once_and_sends_each_message_once(
    broker: Broker, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = Namespace(broker.connection_string)
    clients: list[ServiceBusClient] = []
    make = namespace.client

    def counted() -> ServiceBusClient:
        clients.append(make())
        return clients[-1]

    monkeypatch.setattr(namespace, "client", counted)
    sender = ServiceBusTransport(namespace).sender(queue)
    await asyncio.gather(*(sender.send(messages(4, send_number=number)) for number in range(10)))
    assert (broker.counters(queue).enqueued, len(clients)) == (40, 1)
    assert len({told.message_id for told in broker.messages(queue)}) == 40
    await sender.close()
    await namespace.close()
    gc.collect()


async def test_pitfall_9_a_lost_acknowledgement_makes_no_second_copy_where_duplicates_are_looked_for(
    transport: ServiceBusTransport, broker: Broker, new_queue: NewQueue
) -> None:
    queue = new_queue(requires_duplicate_detection=True)
    sender = transport.sender(queue)
    await sender.send(messages(1))
    broker.lose_send_ack(queue)
    try:
        await sender.send(messages(3, send_number=2))
    except BrokerError:
        await sender.send(messages(3, send_number=2))
    counted = broker.counters(queue)
    assert (counted.enqueued, counted.duplicates) == (4, 3)
    await sender.close()


async def test_pitfall_10_what_is_too_much_for_one_batch_goes_in_several(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    many = messages(1_500)
    assert sum(len(message.body) for message in many) < 256 * 1024 < sum(len(message.body) + 100 for message in many)
    sender = transport.sender(queue)
    await sender.send(many)
    assert broker.counters(queue).enqueued == 1_500
    await sender.close()


async def test_pitfall_11_throttling_passes_and_a_missing_queue_does_not(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender = transport.sender(queue)
    broker.throttle(queue, times=None)
    with pytest.raises(BrokerError) as throttled:
        await sender.send(messages(1))
    broker.heal()
    nowhere = transport.sender("nowhere")
    with pytest.raises(BrokerError, match="the queue does not exist") as missing:
        await nowhere.send(messages(1))
    assert (throttled.value.lasting, missing.value.lasting) == (False, True)
    await sender.send(messages(1))
    await sender.close()
    await nowhere.close()


async def test_pitfall_12_a_refused_login_is_lasting_and_says_what_to_look_at(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    receiver = transport.receiver(queue)
    broker.refuse_token(queue, times=None)
    with pytest.raises(BrokerError, match="the login was refused") as refused:
        await receiver.receive(1, 0.5)
    assert refused.value.lasting
    broker.heal()
    assert await receiver.receive(1, 0.5) == []
    await receiver.close()


async def test_verdicts_reach_the_broker_and_dead_letters_are_read_with_their_reason(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    await sender.send(messages(3))
    got = [await receiver.receive(1, 5) for _ in range(3)]
    (one,), (two,), (three,) = got
    settlements: list[tuple[ReceivedMessage, Settlement]] = [
        (one, DONE),
        (two, Abandon("again")),
        (three, DeadLetter("Poison", "x" * 9_000)),
    ]
    assert await receiver.settle(settlements) == 0
    counted = broker.counters(queue)
    assert (counted.completed, counted.abandoned, counted.dead_lettered, counted.held) == (1, 1, 1, 1)
    reader = transport.dead_letters(queue)
    (dead,) = await reader.receive(5, 2)
    assert (dead.reason, len(dead.description), dead.received.message_id) == ("Poison", 1_024, "task:1-2:0:1")
    await reader.remove([dead])
    assert broker.dead_letters(queue) == []
    for end in (sender, receiver, reader):
        await end.close()


async def test_a_delayed_letter_is_scheduled_and_held_back_by_the_broker(
    transport: ServiceBusTransport, broker: Broker, queue: str
) -> None:
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    ref = MessageRef(kind="task", key="1-0", job_id="f" * 64, lease_number=1)
    await sender.send([OutgoingMessage(ref=ref, send_number=1, delay=1.5)])
    assert [told.state for told in broker.messages(queue)] == ["scheduled"]
    assert await received_ids(receiver, 1) == ["task:1-0:1:1"]
    await sender.close()
    await receiver.close()
