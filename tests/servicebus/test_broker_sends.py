from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import MessageSizeExceededError, MessagingEntityNotFoundError

from .bench import Bench
from .brokers import Broker
from .fixtures import Bus

TOMORROW = timedelta(days=1)


def test_a_message_sent_is_enqueued(bench: Bench) -> None:
    bench.send("one")
    assert bench.held == ["one"]
    assert bench.broker.counters(bench.queue).enqueued == 1


def test_a_batch_is_enqueued_message_by_message_in_its_order(bench: Bench) -> None:
    batch = bench.sender.create_message_batch()
    ids = [str(number) for number in range(100)]
    for message_id in ids:
        batch.add_message(ServiceBusMessage("x" * 200, message_id=message_id))
    bench.sender.send_messages(batch)
    assert bench.held == ids


def test_a_message_over_the_limit_is_refused(bench: Bench) -> None:
    bench.broker.configure(bench.queue, max_message_size=1000)
    with pytest.raises(MessageSizeExceededError):
        bench.sender.send_messages(ServiceBusMessage("x" * 1001))
    assert bench.held == []
    assert bench.broker.counters(bench.queue).rejected == 1


def test_a_message_of_many_frames_arrives_whole(bench: Bench) -> None:
    bench.broker.configure(bench.queue, max_message_size=4 * 1024 * 1024)
    body = "0123456789abcdef" * 150_000
    bench.sender.send_messages(ServiceBusMessage(body))
    (received,) = bench.receive()
    assert str(received) == body
    bench.receiver.complete_message(received)


def test_a_queue_that_does_not_exist_is_not_found(bus: Bus) -> None:
    with pytest.raises(MessagingEntityNotFoundError, match="'nowhere' could not be found"):
        bus.sender("nowhere").send_messages(ServiceBusMessage("one"))


def test_the_same_id_is_enqueued_once_where_duplicates_are_detected(bench: Bench) -> None:
    bench.broker.configure(bench.queue, requires_duplicate_detection=True)
    bench.send("one", "two", "one")
    assert bench.held == ["one", "two"]
    assert bench.broker.counters(bench.queue).duplicates == 1


def test_duplicates_are_detected_after_the_first_was_completed(bench: Bench) -> None:
    bench.broker.configure(bench.queue, requires_duplicate_detection=True)
    bench.send("one")
    bench.receiver.complete_message(bench.receive()[0])
    bench.send("one")
    assert bench.held == []


def test_the_same_id_is_enqueued_again_after_the_window(bench: Bench) -> None:
    bench.broker.configure(bench.queue, requires_duplicate_detection=True, duplicate_detection_window=0.0)
    bench.send("one", "one")
    assert bench.held == ["one", "one"]


def test_the_same_id_is_enqueued_twice_where_duplicates_are_not_detected(bench: Bench) -> None:
    bench.send("one", "one")
    assert bench.held == ["one", "one"]


def test_a_scheduled_message_waits_for_its_time(bench: Bench) -> None:
    bench.sender.schedule_messages(ServiceBusMessage("late", message_id="late"), datetime.now(UTC) + TOMORROW)
    bench.send("now")
    assert [str(message) for message in bench.receive()] == ["now"]
    assert [told.state for told in bench.broker.messages(bench.queue)] == ["scheduled", "active"]


def test_a_scheduled_message_comes_when_its_time_has_come(bench: Bench) -> None:
    at = datetime.now(UTC) + timedelta(seconds=2)  # longer than it takes to schedule it
    (number,) = bench.sender.schedule_messages(ServiceBusMessage("late", message_id="late"), at)
    (received,) = bench.receive()
    assert datetime.now(UTC) >= at
    assert received.enqueued_time_utc is not None
    assert received.enqueued_time_utc >= at - timedelta(milliseconds=1)
    assert received.sequence_number != number


def test_a_message_sent_with_a_time_of_its_own_is_scheduled(bench: Bench) -> None:
    bench.send("late", scheduled_enqueue_time_utc=datetime.now(UTC) + TOMORROW)
    assert [told.state for told in bench.broker.messages(bench.queue)] == ["scheduled"]


def test_a_scheduled_message_can_be_cancelled(bench: Bench) -> None:
    when = datetime.now(UTC) + TOMORROW
    first, second = bench.sender.schedule_messages([ServiceBusMessage("one"), ServiceBusMessage("two")], when)
    bench.sender.cancel_scheduled_messages([first])
    assert [told.sequence for told in bench.broker.messages(bench.queue)] == [second]


def test_a_message_past_its_time_to_live_is_gone(bench: Bench, broker: Broker) -> None:
    bench.send("brief", time_to_live=timedelta(seconds=1))
    broker.until(bench.queue, lambda counts: counts.expired == 1, "the message expires")
    assert bench.held == []
    assert bench.dead == []


def test_a_message_past_its_time_to_live_is_dead_lettered_where_the_queue_says_so(bench: Bench, broker: Broker) -> None:
    broker.configure(bench.queue, dead_lettering_on_expiration=True, default_ttl=0.05)
    bench.send("brief")
    broker.until(bench.queue, lambda counts: counts.dead_lettered == 1, "the message is dead-lettered")
    assert [dead.dead_letter_reason for dead in bench.dead] == ["TTLExpiredException"]
