"""Whether a queue can be sent to and received from: asked of the broker, with nothing sent and nothing received."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender

from ...errors import BrokerError
from .end import End
from .namespace import Namespace

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was tried: `error` is None where it can be done; `seconds` it took, connecting included."""

    queue: str
    what: str
    error: str | None
    seconds: float


async def check_queue(namespace: Namespace, queue: str) -> tuple[Checked, ...]:
    """Open a link to send, one to receive, and one to the dead letters. None of them fails for lack of messages."""
    sends: End[ServiceBusSender] = End(namespace, f"sending to {queue}", lambda client: client.get_queue_sender(queue))
    receives: End[ServiceBusReceiver] = End(
        namespace, f"receiving from {queue}", lambda client: client.get_queue_receiver(queue)
    )
    reads: End[ServiceBusReceiver] = End(
        namespace,
        f"reading the dead letters of {queue}",
        lambda client: client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER),
    )
    return (
        await _tried(queue, "send", lambda: sends.call(SECONDS, lambda sender: sender.create_message_batch()), sends),
        await _tried(queue, "receive", lambda: receives.call(SECONDS, _peek), receives),
        await _tried(queue, "dead letters", lambda: reads.call(SECONDS, _peek), reads),
    )


async def _peek(receiver: ServiceBusReceiver) -> object:
    return await receiver.peek_messages(1, timeout=SECONDS / 2)


async def _tried(
    queue: str, what: str, tried: Callable[[], Awaitable[object]], end: End[ServiceBusSender] | End[ServiceBusReceiver]
) -> Checked:
    began = monotonic()
    error: str | None = None
    try:
        await tried()
    except BrokerError as refused:
        error = str(refused)
    end.drop()
    return Checked(queue, what, error, monotonic() - began)
