"""The loops that a worker runs for a broker, besides its producers: a relay and a dead-letter reader per queue."""

from collections.abc import Awaitable, Callable, Mapping

from ..bus.messages import Kind
from ..bus.port import Bus
from ..relay import DeadLetterReader, Relay
from ..relay.outbox import SendTimes
from ..settings import Settings
from ..store.database import Database
from ..store.session import Session


class BrokerLoops:
    """The loops of a broker; none if the bus has no transport."""

    def __init__(self, database: Database, bus: Bus, settings: Settings) -> None:
        self._bus = bus
        self._relays: list[tuple[frozenset[Kind], Relay]] = []
        self._readers: list[DeadLetterReader] = []
        self._loops: dict[str, Callable[[], Awaitable[None]]] = {}
        transport = bus.transport
        if transport is not None:
            for route in bus.routes:
                relay = Relay(database, route, transport.sender(route.queue), send_times(settings), settings.poll)
                reader = DeadLetterReader(database, transport.dead_letters(route.queue), route.queue)
                self._relays.append((frozenset(route.types), relay))
                self._readers.append(reader)
                self._loops |= {f"relay of {route.queue}": relay.run, f"dead letters of {route.queue}": reader.run}

    def loops(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The loops to run until cancelled, by name."""
        return self._loops

    def wake(self, kind: Kind) -> None:
        """Wake the relays: a message of this kind is to be sent."""
        for kinds, relay in self._relays:
            if kind in kinds:
                relay.wake()

    async def run_once(self) -> int:
        """Send everything that is to be sent. Returns the number of messages. Raises BrokerError."""
        return sum([await relay.run_once() for _, relay in self._relays])

    async def write_heartbeat(self, session: Session, worker: str) -> None:
        """Write with the worker's heartbeat whether messages can be sent; nothing if there is no broker."""
        if not self._relays:
            return
        routed = [(kind, name) for route in self._bus.routes for kind, types in route.types.items() for name in types]
        state = {
            "worker": worker,
            "bus": self._bus.name,
            "queues": [kind for kind, _ in routed],
            "types": [name for _, name in routed],
            "dead_letters": sum(reader.orphans for reader in self._readers),
            "failing": max((relay.failing or 0.0 for _, relay in self._relays), default=0.0) or None,
        }
        await session.run("relay/record_outbox_state", state)


def send_times(settings: Settings) -> SendTimes:
    """The times of sending, from the settings."""
    return SendTimes(relay_lease=settings.relay_lease, resend=settings.resend, horizon=settings.horizon)
