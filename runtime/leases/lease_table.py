"""What a worker holds: the claims it must keep alive until their outcome is committed."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager

from ..bus.messages import KINDS, Kind

Leases = dict[str, int]
Stop = Callable[[str], None]
Send = Callable[[Mapping[str, object]], None]


class LeaseTable:
    """Lease numbers by kind and key. Each change is told to the lease renewer before the call returns.

    So the renewer knows of a claim before its handler can block the worker's loop, or its whole interpreter.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[Kind, Leases] = {kind: {} for kind in KINDS}
        self._claiming: Counter[Kind] = Counter()
        self._stops: dict[str, Stop] = {}
        self._begun: set[str] = set()
        self._listener: Send | None = None
        self._futures: dict[tuple[Kind, str, int], asyncio.Future[None]] = {}

    def done_future(self, kind: Kind, key: str, number: int) -> "asyncio.Future[None]":
        """Done when this lease is no longer held. Called on the loop, and so is `drop` if anything waits for it."""
        future = self._futures.setdefault((kind, key, number), asyncio.get_running_loop().create_future())
        if self._leases[kind].get(key) != number and not future.done():
            del self._futures[kind, key, number]
            future.set_result(None)
        return future

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not any(self._leases.values())

    def attach(self, send: Send | None) -> None:
        """Have `send` called with all that is held, and from now on each change."""
        with self._lock:
            self._listener = send
            for kind in KINDS:
                self._send({"kind": "hold", "of": kind, "leases": self._leases[kind]})
                for _ in range(self._claiming[kind]):
                    self._send({"kind": "claiming", "of": kind})
            self._send({"kind": "begin", "of": "task", "keys": list(self._begun)})

    @contextmanager
    def claiming(self, kind: Kind) -> Generator[Leases]:
        """A claim under way, from before it is asked for; put into the mapping what it won.

        Until the block ends, whatever the database says that this worker holds is kept: a handler may block the worker
        between the claim's commit and the moment in which the answer is read.
        """
        with self._lock:
            self._claiming[kind] += 1
            self._send({"kind": "claiming", "of": kind})
        won: Leases = {}
        try:
            yield won
        finally:
            with self._lock:
                self._claiming[kind] -= 1
                self._leases[kind].update(won)
                if kind == "task":
                    self._begun.difference_update(won)  # under an earlier lease, maybe; not under this one
                self._send({"kind": "claimed", "of": kind, "leases": won})

    def drop(self, kind: Kind, leases: Collection[tuple[str, int]]) -> None:
        """The outcomes under these leases, each a key and its number, are committed, or no longer ours to commit.

        A worker may have claimed the same row again meanwhile: a later lease stays held.
        """
        with self._lock:
            for key, number in leases:
                if self._leases[kind].get(key) == number:
                    del self._leases[kind][key]
                    self._stops.pop(key, None)
                    self._begun.discard(key)
            self._send({"kind": "drop", "of": kind, "leases": list(leases)})
        for lease in leases:
            watching = self._futures.pop((kind, *lease), None)
            if watching is not None and not watching.done():
                watching.set_result(None)

    def begin_task(self, key: str, number: int) -> None:
        """The task has a place, and its handler begins: from here on its deadline stands."""
        with self._lock:
            if self._leases["task"].get(key) == number:
                self._begun.add(key)
                self._send({"kind": "begin", "of": "task", "keys": [key]})

    def set_stop_functions(self, stops: Mapping[str, Stop]) -> None:
        """For each of these tasks call the function with the reason when the task's stage asks it to stop."""
        with self._lock:
            self._stops |= {key: stop for key, stop in stops.items() if key in self._leases["task"]}

    def ask_to_stop(self, reasons: Mapping[str, str]) -> None:
        """Pass on wishes to stop. They come again with each renewal, should nobody listen yet.

        The latest comes first: it may still wait for the place of an earlier one, and must know before that one ends.
        """
        with self._lock:
            stops = [(stop, reasons[key]) for key, stop in reversed(self._stops.items()) if key in reasons]
        for stop, reason in stops:
            stop(reason)

    def _send(self, message: Mapping[str, object]) -> None:
        if self._listener is not None:
            self._listener(message)
