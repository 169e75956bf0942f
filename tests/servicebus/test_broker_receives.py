import pytest
from azure.servicebus import ServiceBusMessageState, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageLockLostError, MessageNotFoundError

from .bench import Bench
from .fixtures import Bus


def test_messages_come_in_the_order_they_were_sent_with_what_was_said_of_them(bench: Bench) -> None:
    bench.send("one", "two", application_properties={"colour": "red", "number": 7})
    first, second = bench.receive(2)
    assert [str(first), str(second)] == ["one", "two"]
    assert first.application_properties == {b"colour": b"red", b"number": 7}
    assert (first.delivery_count, first.message_id) == (0, "one")
    assert first.sequence_number is not None
    assert second.sequence_number == first.sequence_number + 1


def test_a_completed_message_is_gone(bench: Bench) -> None:
    bench.send("one")
    bench.receiver.complete_message(bench.receive()[0])
    assert bench.held == []
    assert bench.broker.counters(bench.queue).completed == 1


def test_an_abandoned_message_comes_again_counted_and_before_those_sent_later(bench: Bench) -> None:
    bench.send("one", "two")
    bench.receiver.abandon_message(bench.receive()[0])
    (again,) = bench.receive()
    assert (str(again), again.delivery_count) == ("one", 1)
    assert bench.broker.counters(bench.queue).abandoned == 1


def test_a_message_abandoned_too_often_is_dead_lettered(bench: Bench) -> None:
    bench.broker.configure(bench.queue, max_delivery_count=2)
    bench.send("one")
    for _ in range(2):
        bench.receiver.abandon_message(bench.receive()[0])
    assert bench.held == []
    assert [(dead.message_id, dead.dead_letter_reason) for dead in bench.dead] == [("one", "MaxDeliveryCountExceeded")]


def test_a_dead_lettered_message_is_received_from_its_queue_with_the_reason(bench: Bench, bus: Bus) -> None:
    bench.send("one", application_properties={"colour": "red"})
    bench.receiver.dead_letter_message(bench.receive()[0], reason="bad", error_description="not a task")
    assert bench.held == []
    dead = bus.receiver(bench.queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    (found,) = dead.receive_messages(max_wait_time=20)
    assert (str(found), found.dead_letter_reason, found.dead_letter_error_description) == ("one", "bad", "not a task")
    assert found.application_properties is not None
    assert found.application_properties[b"colour"] == b"red"
    dead.complete_message(found)
    assert bench.dead == []


def test_a_deferred_message_is_received_by_its_number_only(bench: Bench) -> None:
    bench.send("one", "two")
    deferred = bench.receive()[0]
    bench.receiver.defer_message(deferred)
    assert deferred.sequence_number is not None
    assert [str(message) for message in bench.receive()] == ["two"]
    (found,) = bench.receiver.receive_deferred_messages(deferred.sequence_number)
    assert (str(found), found.state) == ("one", ServiceBusMessageState.DEFERRED)
    bench.receiver.complete_message(found)
    with pytest.raises(MessageNotFoundError):
        bench.receiver.receive_deferred_messages(deferred.sequence_number)


def test_a_peeked_message_is_neither_locked_nor_counted(bench: Bench) -> None:
    bench.send("one", "two")
    assert [str(message) for message in bench.receiver.peek_messages(5, sequence_number=1)] == ["one", "two"]
    counts = bench.broker.counters(bench.queue)
    assert (counts.delivered, counts.locked, counts.held) == (0, 0, 2)


def test_a_locked_message_is_given_to_nobody_else(bench: Bench, bus: Bus) -> None:
    bench.send("one", "two")
    assert [str(message) for message in bench.receive()] == ["one"]
    other = bus.receiver(bench.queue)
    assert [str(message) for message in other.receive_messages(max_wait_time=20)] == ["two"]


def test_a_renewed_lock_lasts_longer(bench: Bench) -> None:
    bench.send("one")
    (held,) = bench.receive()
    before = held.locked_until_utc
    bench.broker.configure(bench.queue, lock_duration=300)
    after = bench.receiver.renew_message_lock(held)
    assert before is not None
    assert (after - before).total_seconds() == pytest.approx(240, abs=30)


def test_a_lock_that_ran_out_is_lost_to_its_holder_and_the_message_comes_again(bench: Bench) -> None:
    bench.broker.configure(bench.queue, lock_duration=0.1)
    bench.send("one")
    (held,) = bench.receive()
    bench.broker.until(bench.queue, lambda counts: counts.lock_lost == 1, "the lock runs out")
    bench.broker.configure(bench.queue, lock_duration=60)
    # The SDK refuses by its own clock, which knows nothing of the broker's.
    with pytest.raises(MessageLockLostError):
        bench.receiver.complete_message(held)
    (again,) = bench.receive()
    assert (str(again), again.delivery_count) == ("one", 1)


def test_a_lock_ended_by_the_broker_cannot_be_settled_nor_renewed(bench: Bench) -> None:
    bench.send("one")
    (held,) = bench.receive()
    assert bench.broker.expire_locks(bench.queue) == 1
    with pytest.raises(MessageLockLostError):
        bench.receiver.renew_message_lock(held)
    with pytest.raises(MessageLockLostError):
        bench.receiver.complete_message(held)
    assert bench.held == ["one"]
    assert bench.broker.counters(bench.queue).completed == 0


def test_receive_and_delete_removes_at_once(bench: Bench, bus: Bus) -> None:
    bench.send("one", "two")
    deleting = bus.receiver(bench.queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    assert [str(message) for message in deleting.receive_messages(1, max_wait_time=20)] == ["one"]
    assert bench.held == ["two"]


def test_what_was_prefetched_and_not_looked_at_is_released_uncounted(bench: Bench, bus: Bus) -> None:
    bench.send("one", "two", "three")
    prefetching = bus.receiver(bench.queue, prefetch_count=10)
    prefetching.complete_message(prefetching.receive_messages(1, max_wait_time=20)[0])
    prefetching.close()
    bench.broker.until(bench.queue, lambda counts: counts.locked == 0, "the locks are given back")
    assert [(told.message_id, told.delivery_count) for told in bench.broker.messages(bench.queue)] == [
        ("two", 0),
        ("three", 0),
    ]
