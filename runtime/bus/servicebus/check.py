"""Whether a queue can be used as workers use it, and which of its settings would hurt: by trying, and by asking."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender

from ...errors import BrokerError
from .administration import NotToldError, hurting, properties_of
from .end import End
from .namespace import Namespace
from .observed import MOST_OTHERS, WAIT, Observation, receive_them, send_twice

SECONDS = 20.0
SHORTEST_LOCK = 10.0
Status = Literal["ok", "hurts", "unknown", "refused"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was tried or asked: what came of it, in `told` why; `seconds` it took, connecting included."""

    queue: str
    what: str
    status: Status
    told: str = ""
    seconds: float = 0.0

    @property
    def fine(self) -> bool:
        """Whether nothing need be done about it. What could not be seen may be fine."""
        return self.status in {"ok", "unknown"}


async def check_queue(namespace: Namespace, queue: str) -> tuple[Checked, ...]:
    """Send one message twice, receive and settle it, peek at the dead letters, and ask for the settings."""
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
    # Opened before anything is sent: the sooner it receives, the less others take.
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
    """What the messages that were sent show of the queue."""
    queue, seconds = receive.queue, receive.seconds
    if not seen.copies:
        why = (
            f"{MOST_OTHERS} messages of jobs are before the one that was sent"
            if seen.others
            else f"what was sent did not come within {WAIT:g} s: a worker may have taken it"
        )
        yield Checked(queue, "receive", "unknown", f"{why}; check again when no worker runs and it is empty", seconds)
        return
    yield receive
    yield Checked(queue, "settle", "ok" if seen.unsettled is None else "refused", seen.unsettled or "")
    yield _lock(queue, seen.lock)
    if seen.unsettled is not None:
        return
    if seen.copies > 1:
        told = "off: the same id came twice; a send whose acknowledgement is lost leaves a second copy"
        yield Checked(queue, "duplicate detection", "hurts", told)
    else:
        yield Checked(queue, "duplicate detection", "ok", "the second copy of a message did not come")


def _lock(queue: str, seconds: float) -> Checked:
    if seconds < SHORTEST_LOCK - 1:  # what was measured is not exact
        told = f"{seconds:.1f} s: a message may come again before its row is claimed; at least {SHORTEST_LOCK:g} s"
        return Checked(queue, "lock", "hurts", told)
    return Checked(queue, "lock", "ok", f"{seconds:.0f} s")


async def _asked(namespace: Namespace, queue: str) -> Checked:
    began = monotonic()
    try:
        hurts = "; ".join(hurting(await properties_of(namespace, queue)))
    except NotToldError as error:
        return Checked(queue, "settings", "unknown", str(error), monotonic() - began)
    return Checked(queue, "settings", "hurts" if hurts else "ok", hurts, monotonic() - began)
