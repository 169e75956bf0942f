"""The lease renewer's program: renews its worker's leases, in a separate process, and ends with its worker.

Run as a file, not as a module, so that it imports psycopg and nothing of CoreMachine: it starts in a tenth of a second.
Messages are lines of JSON. From the worker:

    {"kind": "start", "url": …, "credentials": {…}, "owner": …, "lease": …, "role": …, …}    first, see renewer.py
    {"kind": "hold", "of": …, "leases": {key: number}}    the leases when this program begins
    {"kind": "claiming", "of": …}                      a claim is in progress: keep all leases in the database
    {"kind": "claimed", "of": …, "leases": {key: number}}    a claim ended and won these; others may be in progress
    {"kind": "begin", "of": "task", "keys": […]}       their handlers begin: from now on their deadline is fixed
    {"kind": "drop", "of": …, "leases": [[key, number], …]}    a later lease on the same key is kept

and to the worker:

    {"kind": "stop", "reasons": {key: reason}}         tasks whose stages ask them to stop
    {"kind": "lost", "error": …}, {"kind": "renewed"}  the outcome of a turn

A worker that hangs cannot be distinguished from one that is busy: both keep their leases while they run.
"""

import json
import math
import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from random import random
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from psycopg.abc import PQGen

_V = TypeVar("_V")

_PR_SET_PDEATHSIG: Final = 1
_LONGEST_TRY: Final = 1.0
_LATER_THAN_SERVER: Final = 1.0  # the server's own time limit comes first
_AT_ONCE: Final = 1000
_OF_A_ROW: Final = ("21", "22", "23", "CM", "P0")  # SQLSTATEs of constraints, conversions and triggers


class _SilentError(psycopg.OperationalError):
    """The server has not answered."""


class _Connection(psycopg.Connection[dict[str, Any]]):
    """A connection that is closed if the server does not answer, as when the network swallows what it sends."""

    limit = math.inf

    def wait(self, gen: "PQGen[_V]", *args: Any, **more: Any) -> _V:
        """Wait for the server, for `limit` seconds."""
        try:
            return super().wait(_limited(gen, self.limit), *args, **more)
        except _SilentError:
            self.pgconn.finish()
            raise


def _limited(gen: "PQGen[_V]", seconds: float) -> "PQGen[_V]":
    """The same generator, which is resumed every tenth of a second while nothing arrives."""
    until = monotonic() + seconds
    try:
        waited_for = next(gen)
        while True:
            ready = yield waited_for
            if not ready and monotonic() > until:
                raise _SilentError(f"no answer from the server within {seconds:g} s")
            waited_for = gen.send(ready)
    except StopIteration as done:
        return cast("_V", done.value)


class _LeaseCopy:
    """The worker's leases, from its messages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[str, dict[str, int]] = {}
        self._claiming: Counter[str] = Counter()
        self._begun: set[str] = set()

    def apply(self, message: Mapping[str, Any]) -> None:
        """Apply a message of the worker."""
        kind, of = message["kind"], message["of"]
        with self._lock:
            leases = self._leases.setdefault(of, {})
            if kind == "claiming":
                self._claiming[of] += 1
            elif kind in {"claimed", "hold"}:
                self._claiming[of] -= kind == "claimed"
                leases.update(message["leases"])
                if of == "task":
                    self._begun.difference_update(message["leases"])
            elif kind == "begin":
                self._begun.update(message["keys"])
            else:
                for key, number in message["leases"]:
                    if leases.get(key) == number:
                        del leases[key]
                        self._begun.discard(key)

    def read(self, of: str) -> tuple[dict[str, int], bool]:
        """The leases of a kind, and whether a claim of that kind is in progress."""
        with self._lock:
            return dict(self._leases.get(of, {})), self._claiming[of] > 0

    def begun(self, keys: Iterable[str]) -> list[bool]:
        """For each of these, whether its handler has begun."""
        with self._lock:
            return [key in self._begun for key in keys]


class _Renewer:
    """Renews three times per lease length; if that fails, it tries again at least once a second."""

    def __init__(self, worker: int, start: Mapping[str, Any], leases: _LeaseCopy) -> None:
        self._worker = worker
        self._start = start
        self._leases = leases
        self._pause = start["lease"] / 3
        self._connection: _Connection | None = None
        self._waiting = threading.Event()

    def run(self) -> None:
        """Renew until the worker has ended. The first turn only connects, or reports that it cannot."""
        pause = 0.0
        while not self._waiting.wait(pause):
            _end_unless_child_of(self._worker)
            try:
                self._renew_all()
            except psycopg.Error as error:
                _write({"kind": "lost", "error": str(error).strip()})
                pause = min(self._pause, _LONGEST_TRY) * (0.75 + random() / 2)  # noqa: S311 - not a secret
            else:
                _write({"kind": "renewed"})
                pause = self._pause

    def _renew_all(self) -> None:
        """Renew on the existing connection; only if a new connection fails too is it an error."""
        if self._connection is not None:
            try:
                self._renew_on(self._connection)
            except psycopg.Error as error:  # perhaps of this session alone, if that is read-only for its whole life
                if isinstance(error, _SilentError):
                    _write({"kind": "lost", "error": str(error)})
                self._connection.close()
                self._connection = None
            else:
                return
        self._connection = self._connect()
        self._renew_on(self._connection)

    def _connect(self) -> _Connection:
        seconds = _seconds(self._pause)
        connection = cast("Any", _Connection).connect(
            self._start["url"],
            **self._start["credentials"],
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=seconds,
            tcp_user_timeout=seconds * 1000,
            application_name="coremachine leases",
            prepare_threshold=None if self._start["pooler"] else 5,
        )
        connection.limit = seconds + _LATER_THAN_SERVER
        if not self._start["pooler"]:
            self._set_up(connection)
        return cast("_Connection", connection)

    def _set_up(self, connection: _Connection) -> None:
        """Set the time limit and the role: for the session, or through a pooler for the transaction."""
        local = self._start["pooler"]
        # A slow renewal blocks others from the rows that it has locked, and is too late for the rest.
        limit = {"seconds": f"{_seconds(self._pause)}s", "local": local}
        connection.execute(b"SELECT pg_catalog.set_config('statement_timeout', %(seconds)s, %(local)s)", limit)
        connection.execute(self._start["take_role"].encode(), {"role": self._start["role"], "local": local})

    def _rows(self, connection: _Connection, statement: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
        """Run a statement as a transaction."""
        if not self._start["pooler"]:
            return connection.execute(statement.encode(), values).fetchall()
        with connection.transaction():
            self._set_up(connection)
            return connection.execute(statement.encode(), values).fetchall()

    def _renew_on(self, connection: _Connection) -> None:
        common = {"owner": self._start["owner"], "lease": self._start["lease"]}
        for of, renew in self._start["renew"].items():
            leases, claiming = self._leases.read(of)
            if claiming:
                found = self._rows(connection, self._start["find"][of], common)
                leases |= {row["key"]: row["lease_number"] for row in found}
            keys = list(leases)
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                listed: dict[str, list[Any]] = {
                    "keys": some,
                    "lease_numbers": [leases[key] for key in some],
                    "begun": self._leases.begun(some),
                }
                rows = self._renewed(connection, renew, common, listed)
                reasons = {row["key"]: row["stop_reason"] for row in rows if row["stop_reason"]}
                if reasons:
                    _write({"kind": "stop", "reasons": reasons})

    def _renewed(
        self, connection: _Connection, renew: str, common: Mapping[str, object], listed: Mapping[str, list[Any]]
    ) -> list[dict[str, Any]]:
        """Renew these leases; if one row cannot be written, each alone, so that the others do not expire."""
        try:
            return self._rows(connection, renew, {**common, **listed})
        except psycopg.Error as error:
            if not (error.sqlstate or "").startswith(_OF_A_ROW):
                raise
            if len(listed["keys"]) == 1:
                traceback.print_exc()
                return []
        apart = [{name: [values[at]] for name, values in listed.items()} for at in range(len(listed["keys"]))]
        return [row for one in apart for row in self._renewed(connection, renew, common, one)]


def _seconds(pause: float) -> int:
    return max(2, int(pause))


def _write(message: Mapping[str, object]) -> None:
    with suppress(BrokenPipeError):  # the worker has ended, and the reader will detect it soon
        rest = memoryview(json.dumps(message).encode("ascii") + b"\n")
        while rest:
            rest = rest[os.write(1, rest) :]


def _end_unless_child_of(worker: int) -> None:
    """End if the worker has ended: a process that a handler forked may hold the pipe open longer than the worker."""
    if sys.platform != "win32" and os.getppid() != worker:
        os._exit(0)


def _die_with(worker: int) -> None:
    """Let the kernel kill this process when its worker dies, on Linux. On other systems the pipe closes."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _end_unless_child_of(worker)


def _lines() -> Iterator[Mapping[str, Any]]:
    begun = b""
    while block := os.read(0, 1 << 20):
        *ended, begun = (begun + block).split(b"\n")
        for line in ended:
            yield json.loads(line)


def _read(lines: Iterator[Mapping[str, Any]], leases: _LeaseCopy) -> None:
    try:
        for message in lines:
            leases.apply(message)
    except BaseException:  # noqa: BLE001 - any error
        traceback.print_exc()
        os._exit(70)  # a renewer with wrong leases is worse than none: the worker starts another
    os._exit(0)  # the worker has died or ended


def main(worker: int) -> None:
    """Renew the leases of the worker with this process id until it has ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a terminal or systemd signals every process; the worker ends this one
    _die_with(worker)
    lines, leases = _lines(), _LeaseCopy()
    start = next(lines, None)
    if start is None:
        return
    threading.Thread(target=_read, args=(lines, leases), daemon=True, name="worker's messages").start()
    _Renewer(worker, start, leases).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
