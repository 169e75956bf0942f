"""The leases of a worker: the claims it must keep alive until their outcome is committed."""

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
    """Lease numbers by kind and key. Each change is sent to the lease renewer before the call returns.

    So the renewer has a claim before its handler can block the worker's loop, or its whole interpreter.
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
        """Call `send` with all leases, and from now on with each change."""
        with self._lock:
            self._listener = send
            for kind in KINDS:
                self._send({"kind": "hold", "of": kind, "leases": self._leases[kind]})
                for _ in range(self._claiming[kind]):
                    self._send({"kind": "claiming", "of": kind})
            self._send({"kind": "begin", "of": "task", "keys": list(self._begun)})

    @contextmanager
    def claiming(self, kind: Kind) -> Generator[Leases]:
        """Mark a claim as in progress, before it is sent; the caller adds the rows it won to the mapping.

        Until the block ends, all leases of this worker in the database are renewed: a handler may block the worker
        between the claim's commit and the reading of its result.
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
                    self._begun.difference_update(won)  # it may have begun under an earlier lease, not under this one
                self._send({"kind": "claimed", "of": kind, "leases": won})

    def drop(self, kind: Kind, leases: Collection[tuple[str, int]]) -> None:
        """Remove these leases, each a key and its number: their outcomes are committed, or no longer ours to commit.

        A worker may have claimed the same row again meanwhile: a later lease is kept.
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
        """Record that the task's handler begins: from now on its deadline is fixed."""
        with self._lock:
            if self._leases["task"].get(key) == number:
                self._begun.add(key)
                self._send({"kind": "begin", "of": "task", "keys": [key]})

    def set_stop_functions(self, stops: Mapping[str, Stop]) -> None:
        """For each of these tasks, call the function with the reason when the task's stage asks it to stop."""
        with self._lock:
            self._stops |= {key: stop for key, stop in stops.items() if key in self._leases["task"]}

    def ask_to_stop(self, reasons: Mapping[str, str]) -> None:
        """Pass on requests to stop. Each renewal repeats them, in case a task was not watched yet.

        The latest task is first: it may wait for the slot of an earlier one, and must be stopped before that one ends.
        """
        with self._lock:
            stops = [(stop, reasons[key]) for key, stop in reversed(self._stops.items()) if key in reasons]
        for stop, reason in stops:
            stop(reason)

    def _send(self, message: Mapping[str, object]) -> None:
        if self._listener is not None:
            self._listener(message)
