"""What a check of a queue sees, on the real SDK, and what it leaves behind: nothing."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from azure.servicebus.management import EntityStatus, QueueProperties

from coremachine.runtime.bus.messages import CHECK, ReceivedMessage
from coremachine.runtime.bus.port import DeadLetteredMessage
from coremachine.runtime.bus.servicebus import ServiceBusTransport, administration
from coremachine.runtime.bus.servicebus.administration import hurting
from coremachine.runtime.bus.servicebus.check import Checked, check_queue
from coremachine.runtime.bus.servicebus.namespace import Namespace
from coremachine.runtime.bus.servicebus.observed import MOST_OTHERS
from coremachine.runtime.relay import DeadLetterReader
from tests.databases import OpenApp
from tests.integration.servicebus.test_pitfalls import messages
from tests.servicebus.brokers import Broker
from tests.servicebus.fixtures import AioBus, NewQueue

GOOD = {"requires_duplicate_detection": True}


@pytest_asyncio.fixture
async def namespace(broker: Broker, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Namespace]:
    caplog.set_level(logging.CRITICAL + 1, logger="azure")
    made = Namespace(broker.connection_string)
    yield made
    await made.close()


async def checked(namespace: Namespace, queue: str) -> dict[str, Checked]:
    return {one.what: one for one in await check_queue(namespace, queue)}


def statuses(found: dict[str, Checked]) -> dict[str, str]:
    return {what: one.status for what, one in found.items()}


async def test_a_good_queue_is_found_good_and_left_empty(
    namespace: Namespace, broker: Broker, new_queue: NewQueue
) -> None:
    queue = new_queue(**GOOD)
    found = await checked(namespace, queue)
    assert statuses(found) == {
        "send": "ok",
        "receive": "ok",
        "settle": "ok",
        "lock": "ok",
        "duplicate detection": "ok",
        "dead letters": "ok",
        "settings": "unknown",
    }
    assert found["lock"].detail == "60 s"
    assert "an emulator is not asked" in found["settings"].detail
    counted = broker.counters(queue)
    assert (counted.enqueued, counted.duplicates, counted.completed, counted.held) == (1, 1, 1, 0)


async def test_a_queue_that_does_not_look_for_duplicates_is_reported(
    namespace: Namespace, broker: Broker, new_queue: NewQueue
) -> None:
    queue = new_queue()
    found = await checked(namespace, queue)
    assert (found["duplicate detection"].status, found["settle"].status) == ("hurts", "ok")
    assert "the same id arrived twice" in found["duplicate detection"].detail
    assert (broker.counters(queue).completed, broker.counters(queue).held) == (2, 0)


async def test_a_short_lock_is_reported_with_its_length(namespace: Namespace, new_queue: NewQueue) -> None:
    found = await checked(namespace, new_queue(lock_duration=4.0, **GOOD))
    assert found["lock"].status == "hurts"
    assert 3.0 < float(found["lock"].detail.partition(" s")[0]) < 5.0


async def test_a_settlement_that_is_refused_is_reported(
    namespace: Namespace, broker: Broker, new_queue: NewQueue
) -> None:
    queue = new_queue(**GOOD)
    broker.detach("settle", queue, condition="amqp:unauthorized-access", times=None)
    broker.fault("throttle", "manage", queue, times=None, condition="amqp:unauthorized-access", skip=1)
    found = await checked(namespace, queue)
    assert (found["receive"].detail, found["settle"].status) == ("", "refused")


async def test_messages_of_jobs_that_come_meanwhile_are_given_back_once(
    namespace: Namespace, broker: Broker, new_queue: NewQueue
) -> None:
    queue = new_queue(**GOOD)
    transport = ServiceBusTransport(namespace)
    sender = transport.sender(queue)
    await sender.send(messages(3))
    assert (await checked(namespace, queue))["receive"].status == "ok"
    assert [(one.locked, one.delivery_count) for one in broker.messages(queue)] == [(False, 1)] * 3
    await sender.close()


async def test_what_is_behind_many_messages_is_not_looked_for(
    namespace: Namespace, broker: Broker, new_queue: NewQueue
) -> None:
    queue = new_queue(**GOOD)
    sender = ServiceBusTransport(namespace).sender(queue)
    await sender.send(messages(MOST_OTHERS + 1))
    found = await checked(namespace, queue)
    assert found["receive"].status == "unknown"
    assert found["receive"].detail.startswith("10 messages of jobs are ahead of")
    assert {"lock", "duplicate detection"}.isdisjoint(found)
    assert {one.delivery_count for one in broker.messages(queue)} == {0, 1}
    await sender.close()


async def test_a_worker_completes_the_message_of_a_check_and_never_hears_of_it(
    namespace: Namespace, broker: Broker, queue: str, aio_bus: AioBus
) -> None:
    from azure.servicebus import ServiceBusMessage

    sender = aio_bus.sender(queue)
    await sender.send_messages(ServiceBusMessage(CHECK, message_id="check:1"))
    transport = ServiceBusTransport(namespace)
    receiver, sends = transport.receiver(queue), transport.sender(queue)
    assert await receiver.receive(1, 2) == []
    counted = broker.counters(queue)
    assert (counted.completed, counted.dead_lettered, counted.held) == (1, 0, 0)
    await sends.send(messages(1))
    assert [received.message_id for received in await receiver.receive(1, 5)] == ["task:1-0:0:1"]
    await receiver.close()
    await sends.close()


async def test_a_check_that_nobody_took_is_no_dead_letter_to_be_told_of(open_app: OpenApp) -> None:
    app = await open_app()
    reader = DeadLetterReader(app.database, ServiceBusTransport(Namespace("nowhere:1")).dead_letters("any"), "any")
    expired = ReceivedMessage(message_id="check:1", body=CHECK, queue="any")
    await reader.record([DeadLetteredMessage(expired, "TTLExpiredException", "")])
    assert reader.orphans == 0


async def test_who_may_not_look_at_the_settings_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        async def __aenter__(self) -> None:
            return

        async def __aexit__(self, *_: object) -> None:
            return

        async def get_queue(self, _: str) -> None:
            from azure.core.exceptions import ClientAuthenticationError

            error = ClientAuthenticationError("claim Manage is required")
            error.status_code = 401
            raise error

    namespace = Namespace("mine")
    monkeypatch.setattr(namespace, "administration", Refusing)
    with pytest.raises(administration.SettingsUnavailableError, match="not allowed to read the settings"):
        await administration.properties_of(namespace, "any")


def properties(**given: object) -> QueueProperties:
    good: dict[str, object] = {
        "status": EntityStatus.ACTIVE,
        "requires_session": False,
        "max_delivery_count": 10,
        "dead_lettering_on_message_expiration": True,
        "lock_duration": timedelta(minutes=1),
        "default_message_time_to_live": timedelta(days=14),
        "requires_duplicate_detection": True,
        "duplicate_detection_history_time_window": timedelta(minutes=10),
    }
    made = QueueProperties.__new__(QueueProperties)
    for name, value in {**good, **given}.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"status": EntityStatus.DISABLED}, "the queue is"),
        ({"requires_session": True}, "sessions"),
        ({"max_delivery_count": 2}, "MaxDeliveryCount 2"),
        ({"dead_lettering_on_message_expiration": False}, "DeadLetteringOnMessageExpiration"),
        ({"lock_duration": timedelta(seconds=5)}, "LockDuration"),
        ({"default_message_time_to_live": timedelta(minutes=5)}, "DefaultMessageTimeToLive"),
        ({"requires_duplicate_detection": False}, "RequiresDuplicateDetection"),
        ({"duplicate_detection_history_time_window": timedelta(seconds=20)}, "DuplicateDetectionHistoryTimeWindow"),
    ],
)
def test_a_setting_that_would_hurt_is_named(given: dict[str, object], told: str) -> None:
    (one,) = hurting(properties(**given))
    assert told in one


def test_settings_as_the_template_makes_them_do_not_hurt() -> None:
    assert list(hurting(properties())) == []
