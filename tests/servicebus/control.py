"""How a test governs a broker, wherever that runs: queues, faults, counters, restarts."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import Event
from typing import Any

from .entities import DEAD_LETTERS, Counts, Told
from .faults import KINDS, SERVER_BUSY, Kind, Point
from .server import LOOPBACK

SOON = 20.0
BETWEEN = 0.01
STALLING: tuple[Point, ...] = ("attach", "send", "deliver", "settle", "manage")


class CommandRefusedError(Exception):
    """The broker could not do what the test asked."""


class Control(ABC):
    """The commands of a broker. Faults are described in `faults.py`; `times=None` lasts until `heal()`."""

    port: int

    @abstractmethod
    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command in the broker."""

    def _do(self, command: str, **arguments: Any) -> Any:
        answer = self.ask({"do": command, **arguments})
        if "error" in answer:
            raise CommandRefusedError(f"{command}({arguments}): {answer['error']}")
        return answer["ok"]

    @property
    def connection_string(self) -> str:
        """What `ServiceBusClient.from_connection_string` takes."""
        endpoint = f"Endpoint=sb://{self.address}"
        return f"{endpoint};SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true;"

    @property
    def address(self) -> str:
        """Host and port, for `ServiceBusClient(address, credential, use_tls=False)`."""
        return f"{LOOPBACK}:{self.port}"

    # queues

    def create_queue(self, name: str, **settings: Any) -> str:
        """A new queue, empty, with the settings of `QueueSettings`; its name."""
        self._do("create_queue", name=name, **settings)
        return name

    def configure(self, name: str, **settings: Any) -> None:
        """Change settings of a queue from now on."""
        self._do("configure", name=name, **settings)

    def purge(self, name: str) -> None:
        """Empty a queue: messages, dead letters, counters, history of duplicates. Its links stay."""
        self._do("purge", name=name)

    def counters(self, name: str) -> Counts:
        """What happened to a queue, and what it holds."""
        return Counts(**self._do("counters", name=name))

    def messages(self, name: str) -> list[Told]:
        """What a queue holds, by sequence number."""
        return [Told(**told) for told in self._do("messages", name=name)]

    def dead_letters(self, name: str) -> list[Told]:
        """What its dead letter queue holds."""
        return self.messages(f"{name}/{DEAD_LETTERS}")

    def expire_locks(self, name: str) -> int:
        """End the locks of a queue's messages as if their time were over; how many they were."""
        return int(self._do("expire_locks", name=name))

    def until(self, name: str, wanted: Callable[[Counts], bool], what: str, within: float = SOON) -> Counts:
        """The counters as soon as they are as wanted. Raises AssertionError, with `what`, after `within` seconds.

        It blocks: a coroutine calls it by `asyncio.to_thread`.
        """
        deadline = time.monotonic() + within
        while not wanted(found := self.counters(name)):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within:g} s: {what}; {name} has {found}")
            Event().wait(BETWEEN)
        return found

    # faults

    def fault(
        self, kind: Kind, at: Point, queue: str | None = None, *, times: int | None = 1, skip: int = 0, **more: Any
    ) -> None:
        """Set any fault of `faults.py`; those below are the ones with names."""
        self._do("fault", kind=kind, at=at, queue=queue, times=times, skip=skip, **more)

    def drop(self, at: Point, queue: str | None = None, *, times: int | None = 1, skip: int = 0) -> None:
        """Reset the TCP connection at this point, with nothing done."""
        self.fault("drop", at, queue, times=times, skip=skip)

    def detach(
        self, at: Point, queue: str | None = None, *, condition: str, times: int | None = 1, skip: int = 0
    ) -> None:
        """Close the link at this point with this condition, with nothing done."""
        self.fault("detach", at, queue, times=times, skip=skip, condition=condition)

    def lose_send_ack(self, queue: str | None = None, *, times: int | None = 1, drop: bool = True) -> None:
        """Enqueue what is sent, then drop the connection before the sender hears of it; or only say nothing."""
        self.fault("lose_reply", "send", queue, times=times, drop=drop)

    def lose_settle_reply(self, queue: str | None = None, *, times: int | None = 1, drop: bool = False) -> None:
        """Settle, and say nothing; with `drop`, drop the connection."""
        self.fault("lose_reply", "settle", queue, times=times, drop=drop)

    def throttle(self, queue: str | None = None, *, times: int | None = 1, condition: str = SERVER_BUSY) -> None:
        """Refuse what is sent, as an overloaded namespace does."""
        self.fault("throttle", "send", queue, times=times, condition=condition)

    def refuse_token(self, queue: str | None = None, *, times: int | None = 1, status: int = 401) -> None:
        """Refuse the token that is put for a queue."""
        self.fault("refuse", "token", queue, times=times, status=status)

    def duplicate(self, queue: str | None = None, *, copies: int = 2, times: int | None = 1) -> None:
        """Enqueue what is sent several times."""
        self.fault("duplicate", "send", queue, times=times, copies=copies)

    def delay(self, at: Point, seconds: float, queue: str | None = None, *, times: int | None = 1) -> None:
        """Answer, or deliver, later."""
        self.fault("delay", at, queue, times=times, seconds=seconds)

    def reorder(self, queue: str | None = None, *, times: int | None = 1) -> None:
        """Hand out the newest message instead of the oldest."""
        self.fault("reorder", "deliver", queue, times=times)

    def stall(self, queue: str | None = None) -> None:
        """Accept and never answer, until `heal()`: everything, or what concerns one queue.

        A connection that was stalled stays silent after that; those made later are answered.
        """
        if queue:
            for at in STALLING:
                self.fault("stall", at, queue, times=None)
        else:
            self.fault("stall", "connect", times=None)
            self._do("stall_connections")

    def locks_die_with_link(self, name: str, *, die: bool = True) -> None:
        """Whether a lost link unlocks what was delivered on it."""
        self.configure(name, locks_die_with_link=die)

    def heal(self) -> None:
        """Forget all faults."""
        self._do("heal")

    def struck(self, kind: Kind, at: Point) -> int:
        """How often a fault of this kind struck at this point."""
        if kind not in KINDS:
            raise ValueError(f"no fault {kind!r}")
        return int(self._do("struck").get(f"{kind}@{at}", 0))

    # the whole broker

    def drop_connections(self) -> int:
        """Reset every AMQP connection there is; how many they were."""
        return int(self._do("drop_connections"))

    def detach_links(self, name: str, condition: str = "amqp:link:detach-forced") -> int:
        """Close every link to a queue with this condition; how many they were."""
        return int(self._do("detach_links", name=name, condition=condition))

    def stop(self) -> None:
        """Refuse and reset connections, until `start()`."""
        self._do("stop")

    def start(self, *, keep: bool = True) -> None:
        """Listen again on the same port; without `keep`, every message is lost (the counters go on)."""
        self._do("start", keep=keep)

    def restart(self, *, keep: bool = False) -> None:
        """Stop and start at once."""
        self.stop()
        self.start(keep=keep)
