"""What a worker runs beside its feeds where the bus is a broker: a relay and a reader of dead letters a queue."""

from collections.abc import Awaitable, Callable, Mapping

from ..bus.messages import Kind
from ..bus.port import Bus
from ..relay import DeadLetterReader, Relay
from ..relay.outbox import Sending
from ..settings import Settings
from ..store.database import Database
from ..store.session import Session


class BrokerLoops:
    """The loops of a broker; none where the bus has no transport."""

    def __init__(self, database: Database, bus: Bus, settings: Settings) -> None:
        self._bus = bus
        self._relays: list[tuple[frozenset[Kind], Relay]] = []
        self._readers: list[DeadLetterReader] = []
        self._loops: dict[str, Callable[[], Awaitable[None]]] = {}
        transport = bus.transport
        if transport is not None:
            for route in bus.routes:
                sender = transport.sender(route.queue)
                relay = Relay(database, route, sender, sending_of(settings), settings.poll)
                self._relays.append((frozenset(route.types), relay))
                reader = DeadLetterReader(database, transport.dead_letters(route.queue))
                self._readers.append(reader)
                self._loops |= {f"relay of {route.queue}": relay.run, f"dead letters of {route.queue}": reader.run}

    def loops(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What is to run until it is cancelled, by name."""
        return self._loops

    def wake(self, kind: Kind) -> None:
        """A message of this kind is to be sent."""
        for kinds, relay in self._relays:
            if kind in kinds:
                relay.wake()

    async def run_once(self) -> int:
        """Send all that is to be sent. Returns how many messages there were. Raises BrokerError."""
        return sum([await relay.run_once() for _, relay in self._relays])

    async def beat(self, session: Session, worker: str) -> None:
        """Write beside the worker's heartbeat how its sending goes; nothing where there is none."""
        if not self._relays:
            return
        types: dict[Kind, list[str]] = {"job": [], "task": []}
        for route in self._bus.routes:
            for kind in types:
                types[kind] += route.types.get(kind, ())
        told: dict[str, object] = {"bus": self._bus.name, "job_types": types["job"], "task_types": types["task"]}
        orphans = sum(reader.orphans for reader in self._readers)
        failing = max((relay.failing or 0.0 for _, relay in self._relays), default=0.0) or None
        await session.run(
            "relay/record_outbox_state", {"worker": worker, "dead_letters": orphans, "failing": failing, **told}
        )


def sending_of(settings: Settings) -> Sending:
    """The times of sending as settings say."""
    return Sending(relay_lease=settings.relay_lease, resend=settings.resend, horizon=settings.horizon)
