"""The settings of a queue, from the administration API, and which of them cause problems."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from azure.core.exceptions import HttpResponseError
from azure.servicebus.management import EntityStatus, QueueProperties

from .errors import RAISED, words_of
from .namespace import Namespace

SECONDS = 15.0
FORBIDDEN = (401, 403)
FEWEST_DELIVERIES = 5
SHORTEST_LOCK = timedelta(seconds=10)
SHORTEST_LIFE = timedelta(hours=1)
SHORTEST_WINDOW = timedelta(minutes=1)


class SettingsUnavailableError(Exception):
    """The administration API did not return the settings. The message gives the reason."""


async def properties_of(namespace: Namespace, queue: str) -> QueueProperties:
    """The settings of a queue. Raises SettingsUnavailableError."""
    client = namespace.administration()
    if client is None:
        raise SettingsUnavailableError("not available: an emulator is not asked for its settings")
    try:
        async with asyncio.timeout(SECONDS), client:
            return await client.get_queue(queue)
    except HttpResponseError as error:
        if error.status_code in FORBIDDEN:
            raise SettingsUnavailableError(
                "not allowed to read the settings: that needs Manage, or the role Azure Service Bus Data Owner"
            ) from error
        raise SettingsUnavailableError(f"not available: {words_of(error)}") from error
    except RAISED as error:
        raise SettingsUnavailableError(f"not available: {words_of(error)}") from error


def hurting(queue: QueueProperties) -> Iterator[str]:
    """Each setting that causes a problem, and the problem."""
    if queue.status not in {None, EntityStatus.ACTIVE}:
        yield f"the queue is {queue.status}"
    if queue.requires_session:
        yield "it requires sessions: no worker can receive from it"
    if queue.max_delivery_count is not None and queue.max_delivery_count < FEWEST_DELIVERIES:
        deliveries = queue.max_delivery_count
        yield f"MaxDeliveryCount {deliveries}: a few crashes dead-letter a message; use at least {FEWEST_DELIVERIES}"
    if not queue.dead_lettering_on_message_expiration:
        yield "DeadLetteringOnMessageExpiration is off: a message that expires is silently lost"
    if _shorter(queue.lock_duration, SHORTEST_LOCK):
        yield f"LockDuration {queue.lock_duration}: a message returns before its row is claimed; use at least 10 s"
    if _shorter(queue.default_message_time_to_live, SHORTEST_LIFE):
        yield f"DefaultMessageTimeToLive {queue.default_message_time_to_live}: messages expire in a busy queue"
    yield from _of_duplicates(queue)


def _of_duplicates(queue: QueueProperties) -> Iterator[str]:
    if not queue.requires_duplicate_detection:
        yield "RequiresDuplicateDetection is off: a send whose acknowledgement is lost leaves a second copy"
    elif _shorter(queue.duplicate_detection_history_time_window, SHORTEST_WINDOW):
        window = queue.duplicate_detection_history_time_window
        yield f"DuplicateDetectionHistoryTimeWindow {window}: a send may be retried after it; use at least a minute"


def _shorter(time: timedelta | str | None, least: timedelta) -> bool:
    return isinstance(time, timedelta) and time < least
