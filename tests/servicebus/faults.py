"""Faults that a test sets: what goes wrong, where, for which queue, and how often.

| kind | at | what happens |
|---|---|---|
| `drop` | any | the TCP connection is reset, and nothing is done |
| `detach` | attach, send, deliver, settle, manage | the link is closed with `condition`, and nothing is done |
| `stall` | any | the connection stays open and is never answered again |
| `lose_reply` | send, settle, manage | what was asked is done, the reply is lost; with `drop`, the connection too |
| `throttle` | attach, send, manage | refused with `condition`, `com.microsoft:server-busy` unless told otherwise |
| `refuse` | token | the token is refused, with status `status` |
| `duplicate` | send | the message is enqueued `copies` times, past duplicate detection |
| `delay` | token, send, deliver, settle, manage | the reply, or the delivery, comes `seconds` later |
| `reorder` | deliver | the newest message is handed out instead of the oldest |
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["drop", "detach", "stall", "lose_reply", "throttle", "refuse", "duplicate", "delay", "reorder"]
Point = Literal["connect", "token", "attach", "send", "deliver", "settle", "manage"]
KINDS: frozenset[str] = frozenset(get_args(Kind))
POINTS: frozenset[str] = frozenset(get_args(Point))
SERVER_BUSY = "com.microsoft:server-busy"


@dataclass
class Fault:
    """One fault. `times` None: until it is healed; `skip` is how many occasions pass unharmed first."""

    kind: Kind
    at: Point
    queue: str | None = None
    times: int | None = 1
    skip: int = 0
    condition: str = SERVER_BUSY
    description: str = "a fault that the test set"
    seconds: float = 0.0
    copies: int = 2
    drop: bool = False
    status: int = 401

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.at not in POINTS:
            raise ValueError(
                f"no fault {self.kind!r} at {self.at!r}: kinds are {sorted(KINDS)}, points {sorted(POINTS)}"
            )


class FrameLostError(Exception):
    """A fault took the frame that is being handled: nothing more is done about it."""


class Faults:
    """The faults that are set, and how often each kind has struck."""

    def __init__(self) -> None:
        self._set: list[Fault] = []
        self.struck: Counter[str] = Counter()

    def add(self, fault: Fault) -> None:
        """From now on."""
        self._set.append(fault)

    def heal(self) -> None:
        """Forget every fault. Connections that were stalled stay so: a network does not give back what it lost."""
        self._set.clear()

    def take(self, at: Point, queue: str | None, *kinds: Kind) -> Fault | None:
        """The fault that strikes here and now, used up by one; of these kinds only, if any are named."""
        for fault in self._set:
            if fault.at == at and fault.queue in {None, queue} and (not kinds or fault.kind in kinds):
                if fault.skip:
                    fault.skip -= 1
                    continue
                return self._strike(fault)
        return None

    def _strike(self, fault: Fault) -> Fault:
        if fault.times is not None:
            fault.times -= 1
            if not fault.times:
                self._set.remove(fault)
        self.struck[f"{fault.kind}@{fault.at}"] += 1
        return fault
