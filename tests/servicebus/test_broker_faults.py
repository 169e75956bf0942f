import socket
import time

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import (
    MessageLockLostError,
    OperationTimeoutError,
    ServiceBusAuthenticationError,
    ServiceBusConnectionError,
    ServiceBusServerBusyError,
)

from .bench import Bench
from .brokers import Broker
from .fixtures import NewQueue
from .frames import AMQP_HEADER
from .server import LOOPBACK

DETACHED = "amqp:link:detach-forced"


def test_a_throttled_send_is_tried_again_by_the_sdk(bench: Bench) -> None:
    bench.broker.throttle(bench.queue, times=2)
    bench.send("one")
    assert bench.held == ["one"]
    assert bench.broker.counters(bench.queue).rejected == 2


def test_a_send_that_is_always_throttled_fails_as_server_busy(bench: Bench) -> None:
    bench.broker.throttle(bench.queue, times=None)
    with pytest.raises(ServiceBusServerBusyError):
        bench.send("one")
    assert bench.held == []


def test_a_refused_token_is_an_authentication_error(broker: Broker, queue: str) -> None:
    broker.refuse_token(queue, times=None)
    with (
        ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0) as client,
        pytest.raises(ServiceBusAuthenticationError),
        client.get_queue_sender(queue) as sender,
    ):
        sender.send_messages(ServiceBusMessage("one"))
    assert broker.messages(queue) == []


def test_a_link_detached_on_a_send_is_attached_again_and_the_message_sent_once(bench: Bench) -> None:
    bench.send("zero")
    bench.broker.detach("send", bench.queue, condition=DETACHED)
    bench.send("one")
    assert bench.broker.struck("detach", "send") >= 1
    assert bench.held == ["zero", "one"]


def test_links_detached_between_two_sends_are_attached_again(bench: Bench) -> None:
    bench.send("one")
    assert bench.broker.detach_links(bench.queue) >= 1
    bench.send("two")
    assert bench.held == ["one", "two"]


def test_a_connection_dropped_before_the_send_was_taken_in_costs_no_copy(bench: Bench) -> None:
    bench.send("zero")
    bench.broker.drop("send", bench.queue)
    bench.send("one")
    assert bench.held == ["zero", "one"]


def test_a_lost_acknowledgement_leaves_two_copies(bench: Bench) -> None:
    bench.broker.lose_send_ack(bench.queue)
    bench.send("one")
    assert bench.held == ["one", "one"]


def test_a_lost_acknowledgement_leaves_one_copy_where_duplicates_are_detected(bench: Bench) -> None:
    bench.broker.configure(bench.queue, requires_duplicate_detection=True)
    bench.broker.lose_send_ack(bench.queue)
    bench.send("one")
    assert bench.held == ["one"]
    assert bench.broker.counters(bench.queue).duplicates == 1


def test_the_fault_strikes_the_occasion_that_was_named(bench: Bench) -> None:
    bench.broker.fault("lose_reply", "send", bench.queue, skip=1, drop=True)
    bench.send("one", "two", "three")
    assert bench.held == ["one", "two", "two", "three"]


def test_a_fault_for_one_queue_leaves_the_others_alone(bench: Bench) -> None:
    bench.broker.throttle("another", times=None)
    bench.send("one")
    assert bench.held == ["one"]


def test_a_settlement_whose_reply_is_lost_with_the_connection_was_done_all_the_same(bench: Bench) -> None:
    bench.send("one")
    (held,) = bench.receive()
    bench.broker.lose_settle_reply(bench.queue, drop=True)
    with pytest.raises(MessageLockLostError):
        bench.receiver.complete_message(held)
    assert bench.held == []
    assert bench.broker.counters(bench.queue).completed == 1


def test_a_settlement_that_met_a_dropped_connection_is_done_through_management(bench: Bench) -> None:
    bench.send("one")
    (held,) = bench.receive()
    bench.broker.drop("settle", bench.queue)
    bench.receiver.complete_message(held)
    assert bench.held == []


def test_a_lock_outlives_its_link(bench: Bench) -> None:
    bench.send("one")
    bench.receive()
    bench.broker.drop_connections()
    assert bench.broker.until(bench.queue, lambda counts: counts.held == 1, "the message is there").locked == 1
    assert bench.broker.counters(bench.queue).lock_lost == 0


def test_a_lock_dies_with_its_link_where_the_queue_says_so(bench: Bench) -> None:
    bench.broker.locks_die_with_link(bench.queue)
    bench.send("one")
    bench.receive()
    bench.broker.drop_connections()
    bench.broker.until(bench.queue, lambda counts: counts.lock_lost == 1, "the lock dies")
    (again,) = bench.receive()
    assert again.delivery_count == 1


def test_a_message_can_be_enqueued_several_times(bench: Bench) -> None:
    bench.broker.configure(bench.queue, requires_duplicate_detection=True)
    bench.broker.duplicate(bench.queue, copies=3)
    bench.send("one", "two")
    assert bench.held == ["one", "one", "one", "two"]


def test_messages_can_come_out_of_order(bench: Bench) -> None:
    bench.send("one", "two", "three")
    bench.broker.reorder(bench.queue)
    assert [str(message) for message in bench.receive(3)] == ["three", "one", "two"]


def test_an_acknowledgement_can_come_late(bench: Bench) -> None:
    bench.send("zero")
    bench.broker.delay("send", 0.3, bench.queue)
    started = time.monotonic()
    bench.send("one")
    assert time.monotonic() - started >= 0.29


def test_a_delivery_can_come_late(bench: Bench) -> None:
    bench.send("one")
    bench.broker.delay("deliver", 0.3, bench.queue)
    started = time.monotonic()
    assert [str(message) for message in bench.receive()] == ["one"]
    assert time.monotonic() - started >= 0.29


def test_a_restart_can_lose_every_message(bench: Bench) -> None:
    bench.send("one")
    bench.broker.restart(keep=False)
    bench.send("two")
    assert bench.held == ["two"]
    assert bench.broker.counters(bench.queue).enqueued == 2


def test_a_restart_can_keep_every_message(bench: Bench) -> None:
    bench.send("one")
    bench.broker.restart(keep=True)
    bench.send("two")
    assert [str(message) for message in bench.receive(2)] == ["one", "two"]


def test_a_broker_that_is_down_refuses_connections_until_it_is_back_on_its_port(bench: Bench) -> None:
    bench.broker.stop()
    try:
        with pytest.raises(ServiceBusConnectionError):
            bench.send("one")
    finally:
        bench.broker.start()
    bench.send("two")
    assert bench.held == ["two"]


def test_a_stalled_broker_answers_no_send_and_a_new_client_is_answered_after_it(
    broker: Broker, new_queue: NewQueue
) -> None:
    queue = new_queue()
    with ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0) as client:
        with client.get_queue_sender(queue) as sender:
            sender.send_messages(ServiceBusMessage("one", message_id="one"))
            broker.stall(queue)
            with pytest.raises(OperationTimeoutError):
                sender.send_messages(ServiceBusMessage("two", message_id="two"), timeout=0.5)
            broker.heal()
        with client.get_queue_sender(queue) as another:
            another.send_messages(ServiceBusMessage("three", message_id="three"))
        assert [told.message_id for told in broker.messages(queue)] == ["one", "three"]


def test_a_stalled_broker_accepts_and_never_answers(own_broker: Broker) -> None:
    with socket.create_connection((LOOPBACK, own_broker.port)) as line:
        own_broker.stall()
        line.sendall(AMQP_HEADER)
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(8)
        own_broker.heal()
        with socket.create_connection((LOOPBACK, own_broker.port)) as another:
            another.sendall(AMQP_HEADER)
            assert another.recv(8) == AMQP_HEADER
        with pytest.raises(TimeoutError):
            line.recv(8)
