"""The worker's side of the lease renewer: starts it, sends it the leases, and restarts it if it ends.

The renewer is a process, because a handler may block the interpreter, and so every thread, for longer than a lease.

Hazard: on Linux the renewer dies as soon as the thread that started it ends. That thread waits for it here.
"""

import asyncio
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...sql_generator.queues import held_statement, renew_statement
from ...sql_generator.roles import worker_role
from ...statemachine.retry import Backoff
from ...statemachine.tables import QUEUES
from ..logs import logger
from ..store.database import Database
from ..store.queries import query
from .lease_table import LeaseTable

log = logger("leases")
_PROGRAM: Final = Path(__file__).with_name("renewer_process.py")
_PATIENCE: Final = 5.0  # seconds within which a healthy renewer reads a message, and a killed one has ended


class LeaseRenewer:
    """Renews every lease three times per lease length, even while the loop or the interpreter is blocked."""

    def __init__(self, database: Database, leases: LeaseTable, owner: str, lease: float) -> None:
        self._database = database
        self._leases = leases
        self._owner = owner
        self._lease = lease
        self._participant = database.outage.participant()
        self._loop = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-renewer", daemon=True)

    def start(self) -> None:
        """Begin to renew: from now on the renewer receives each claim at once."""
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        """Stop renewing: the leases will expire."""
        self._stopped.set()
        if self._process is not None:
            self._process.kill()  # not by the end of its pipe: a process that a handler forked may hold that open
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        backoff, ends = Backoff(first=0.1, most=5), 0
        while not self._stopped.is_set():
            code = self._keep()
            if not self._stopped.is_set():
                ends += 1
                log.error("the lease renewer ended; starting another", code=code)
                self._stopped.wait(backoff.delay(ends))

    def _keep(self) -> int | str:
        """Start a renewer and read its messages. Returns how it ended."""
        try:
            process = self._process = _start_process()
        except OSError as error:
            self._begun.set()
            return str(error)
        if self._stopped.is_set():
            process.kill()
        with process:
            pipe = Pipe(process)
            pipe.send(self._first_message())
            self._leases.attach(pipe.send)
            self._begun.set()
            for line in process.stdout or ():
                self._handle(json.loads(line))
            self._leases.attach(None)  # before the pipe is closed, because its number may soon be another file's
        return process.returncode

    def _first_message(self) -> Mapping[str, object]:
        schema = self._database.schema
        return {
            "kind": "start",
            "url": self._database.session_url or self._database.url,
            "pooler": self._database.session_url is None,
            "credentials": self._database.credentials(),
            "owner": self._owner,
            "lease": self._lease,
            "role": worker_role(schema),
            "take_role": query("store/take_role", schema).decode(),
            "renew": {kind: renew_statement(record, schema) for kind, record in QUEUES.items()},
            "find": {kind: held_statement(record, schema) for kind, record in QUEUES.items()},
        }

    def _handle(self, message: Mapping[str, Any]) -> None:
        if message["kind"] == "stop":
            self._leases.ask_to_stop(message["reasons"])
            return
        with suppress(RuntimeError):  # the loop has ended, and its worker with it
            if message["kind"] == "lost":
                if self._database.asks_for_password and self._process is not None:
                    self._process.kill()  # its token may have expired: the next renewer gets a new one
                self._loop.call_soon_threadsafe(self._participant.failed, message["error"])
            else:
                self._loop.call_soon_threadsafe(self._participant.succeeded)


class Pipe:
    """The pipe to a renewer. A renewer that does not read is killed, so that another one replaces it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        if process.stdin is None:
            raise AssertionError("the renewer was started without a pipe")
        self._process = process
        self._fd = process.stdin.fileno()
        if sys.platform != "win32":
            os.set_blocking(self._fd, False)

    def send(self, message: Mapping[str, object]) -> None:
        """Write a whole message. If the renewer has ended, the message is lost; its successor receives all leases."""
        rest = memoryview(json.dumps(message).encode("ascii") + b"\n")
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                if not self._writable():
                    self._process.kill()
                    return
            except OSError:
                return

    def _writable(self) -> bool:
        waiting = select.poll()
        waiting.register(self._fd, select.POLLOUT)
        return bool(waiting.poll(_PATIENCE * 1000))


def _start_process() -> "subprocess.Popen[bytes]":
    """Start it in a separate session: Ctrl-C reaches only the worker, which ends it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", str(_PROGRAM), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
