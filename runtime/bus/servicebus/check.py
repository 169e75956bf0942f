"""Checks whether workers can use a queue, and whether its settings cause problems: by using it, and by reading them."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender

from ...errors import BrokerError
from .administration import SettingsUnavailableError, hurting, properties_of
from .end import End
from .namespace import Namespace
from .observed import MOST_OTHERS, WAIT, Observation, receive_them, send_twice

SECONDS = 20.0
SHORTEST_LOCK = 10.0
Status = Literal["ok", "hurts", "unknown", "refused"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One check: its status, the reason in `detail`, and the `seconds` it took, with connecting."""

    queue: str
    what: str
    status: Status
    detail: str = ""
    seconds: float = 0.0

    @property
    def fine(self) -> bool:
        """Whether it needs no action. A check without a result may be fine."""
        return self.status in {"ok", "unknown"}


async def check_queue(namespace: Namespace, queue: str) -> tuple[Checked, ...]:
    """Send one message twice, receive and settle it, peek at the dead letters, and read the settings."""
    sends: End[ServiceBusSender] = End(namespace, f"sending to {queue}", lambda client: client.get_queue_sender(queue))
    receives: End[ServiceBusReceiver] = End(
        namespace, f"receiving from {queue}", lambda client: client.get_queue_receiver(queue, prefetch_count=0)
    )
    reads: End[ServiceBusReceiver] = End(
        namespace,
        f"reading the dead letters of {queue}",
        lambda client: client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER),
    )
    seen = Observation()
    # Opened before anything is sent: the sooner it receives, the fewer messages others take.
    receive = await _tried(queue, "receive", receives, _peek)
    send = await _tried(queue, "send", sends, lambda sender: send_twice(sender, seen))
    observed: tuple[Checked, ...] = (receive,)
    if (send.status, receive.status) == ("ok", "ok"):
        receive = await _tried(queue, "receive", receives, lambda receiver: receive_them(receiver, seen))
        observed = tuple(_observed(receive, seen)) if receive.status == "ok" else (receive,)
    for end in (sends, receives):
        end.drop()
    dead = await _tried(queue, "dead letters", reads, _peek)
    reads.drop()
    return (send, *observed, dead, await _asked(namespace, queue))


async def _peek(receiver: ServiceBusReceiver) -> object:
    return await receiver.peek_messages(1, timeout=SECONDS / 2)


async def _tried(queue: str, what: str, end: End[Any], tried: Callable[[Any], Awaitable[object]]) -> Checked:
    began = monotonic()
    try:
        await end.call(SECONDS, tried)
    except BrokerError as refused:
        return Checked(queue, what, "refused", str(refused), monotonic() - began)
    return Checked(queue, what, "ok", "", monotonic() - began)


def _observed(receive: Checked, seen: Observation) -> Iterator[Checked]:
    """What the messages that were sent show about the queue."""
    queue, seconds = receive.queue, receive.seconds
    if not seen.copies:
        why = (
            f"{MOST_OTHERS} messages of jobs are ahead of the test message"
            if seen.others
            else f"the test message did not arrive within {WAIT:g} s: a worker may have received it"
        )
        yield Checked(
            queue, "receive", "unknown", f"{why}; check again when no worker runs and the queue is empty", seconds
        )
        return
    yield receive
    yield Checked(queue, "settle", "ok" if seen.unsettled is None else "refused", seen.unsettled or "")
    yield _lock(queue, seen.lock)
    if seen.unsettled is not None:
        return
    if seen.copies > 1:
        detail = "off: the same id arrived twice; a send whose acknowledgement is lost leaves a second copy"
        yield Checked(queue, "duplicate detection", "hurts", detail)
    else:
        yield Checked(queue, "duplicate detection", "ok", "the second copy of a message did not arrive")


def _lock(queue: str, seconds: float) -> Checked:
    if seconds < SHORTEST_LOCK - 1:  # the measurement is not exact
        detail = (
            f"{seconds:.1f} s: a message may be redelivered before its row is claimed; use at least {SHORTEST_LOCK:g} s"
        )
        return Checked(queue, "lock", "hurts", detail)
    return Checked(queue, "lock", "ok", f"{seconds:.0f} s")


async def _asked(namespace: Namespace, queue: str) -> Checked:
    began = monotonic()
    try:
        hurts = "; ".join(hurting(await properties_of(namespace, queue)))
    except SettingsUnavailableError as error:
        return Checked(queue, "settings", "unknown", str(error), monotonic() - began)
    return Checked(queue, "settings", "hurts" if hurts else "ok", hurts, monotonic() - began)
