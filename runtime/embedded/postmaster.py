"""The server's processes: whether there are any, how they start and how they end. All under the start lock.

Each of them holds `server.lock`, inherited from the process that started the server, so that the kernel knows whether
any is left. `postmaster.pid` does not show that: its number may belong to another process now, and backends outlive a
killed postmaster for a while, during which a new server must not start.
"""

import os
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import BinaryIO

from .cluster import Cluster, environment
from .endpoint import Endpoint, endpoint_for_start, endpoint_of_running
from .errors import EmbeddedServerError, tail_of
from .locks import FileLock, is_held
from .processes import is_alive, may_serve, processes_of

START_SECONDS = 120  # a start after a crash replays the log
STOP_SECONDS = 60
_ORPHANS_SECONDS = 3.0
_PAUSE = 0.05  # seconds between two pg_isready: a server announces nothing
_PORT_TRIES = 3
_LOG_LIMIT = 20_000_000  # bytes

# Passed to each start, so that neither postgresql.conf nor ALTER SYSTEM can turn durability off.
_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def ensure_running(cluster: Cluster) -> Endpoint:
    """Use the running server or start one, and return where it listens once it answers.

    Raises `EmbeddedServerError` if it does not start.
    """
    if is_held(cluster.server_lock):
        if _is_up(cluster):
            return endpoint_of_running(cluster)
        stop_server(cluster)
    return _start(cluster)


def stop_server(cluster: Cluster) -> None:
    """Stop the server, and every process that a killed server left. Does nothing if none runs.

    Clients are disconnected and the data is written (a *fast* stop); a server that takes too long for that is ended at
    once, and recovers from its log at the next start.
    """
    modes = iter(("fast", "immediate", "immediate"))
    while is_held(cluster.server_lock):
        mode = next(modes, None)
        if mode is None:
            raise _failure(
                cluster, "the server cannot be stopped", "Its processes hold server.lock: end them manually."
            )
        _stop_once(cluster, mode)


def _stop_once(cluster: Cluster, mode: str) -> None:
    if _postmaster(cluster) is None:
        _end_orphans(cluster)
        return
    try:
        how = ("stop", "-w", "-m", mode, "-t", str(STOP_SECONDS))
        cluster.run("pg_ctl", *how, pgdata=cluster.pgdata, seconds=STOP_SECONDS + 10)
    except EmbeddedServerError:
        if mode == "immediate" and _postmaster(cluster) is not None:
            raise
    _wait_until_gone(cluster, _ORPHANS_SECONDS)


def _end_orphans(cluster: Cluster) -> None:
    """Wait for backends of a killed postmaster: a busy one notices only when it next writes to its client."""
    if not _wait_until_gone(cluster, _ORPHANS_SECONDS):
        for pid in processes_of(cluster.name):
            os.kill(pid, signal.SIGKILL)
        _wait_until_gone(cluster, _ORPHANS_SECONDS)


def _wait_until_gone(cluster: Cluster, seconds: float) -> bool:
    lock = FileLock(cluster.server_lock)
    try:
        return lock.wait_exclusive(seconds)
    finally:
        lock.release()


def _is_up(cluster: Cluster) -> bool:
    """Wait while a server starts, and return whether it does; False if it was killed or is stopping."""
    deadline = time.monotonic() + START_SECONDS
    pause = threading.Event()
    while is_held(cluster.server_lock) and _postmaster(cluster) is not None:
        if _answers(cluster, endpoint_of_running(cluster)):
            return True
        if _is_stopping(cluster.pgdata):
            return False
        if time.monotonic() > deadline:
            raise _failure(
                cluster, f"the server is running but has not answered for {START_SECONDS} seconds", "Try again."
            )
        pause.wait(_PAUSE)
    return False


def _answers(cluster: Cluster, endpoint: Endpoint) -> bool:
    where = ("-h", endpoint.host, "-p", str(endpoint.port), "-t", "5")
    try:
        cluster.run("pg_isready", *where, pgdata=cluster.pgdata, seconds=30)
    except EmbeddedServerError:
        return False
    return True


def _start(cluster: Cluster) -> Endpoint:
    _clear_stale_pid(cluster)
    for attempt in range(_PORT_TRIES):
        endpoint = endpoint_for_start(cluster, fresh_port=attempt > 0)
        if _launch(cluster, endpoint):
            return endpoint
        stop_server(cluster)
        if endpoint.is_socket:
            break  # only a port can be taken by another program meanwhile
    raise _failure(cluster, "the server did not start", "The end of its log shows why.")


def _launch(cluster: Cluster, endpoint: Endpoint) -> bool:
    """Start it holding server.lock, with the log as its output, and return whether it started."""
    lock = FileLock(cluster.server_lock, cluster.account.owner)
    try:
        lock.share()
        with _open_log(cluster) as log:
            done = cluster.account.run(
                [cluster.binaries.program("pg_ctl"), *_start_arguments(cluster, endpoint)],
                environment=environment(cluster.pgdata),
                directory=cluster.data_dir,
                seconds=START_SECONDS + 30,
                output=log,
                pass_fds=[lock.fd],
            )
    except subprocess.TimeoutExpired:
        return False
    finally:
        lock.forget()  # not released: the server holds it now
    return done.returncode == 0


def _start_arguments(cluster: Cluster, endpoint: Endpoint) -> list[str]:
    settings = {**_DURABLE, "cluster_name": cluster.name, **endpoint.server_settings()}
    options = shlex.join(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
    return ["start", "-w", "-s", "-t", str(START_SECONDS), "-o", options]


def _open_log(cluster: Cluster) -> BinaryIO:
    """Open the log for appending; a log that has grown long is moved aside first."""
    if cluster.log.exists() and cluster.log.stat().st_size > _LOG_LIMIT:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    handle = os.open(cluster.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if cluster.account.owner is not None:
        os.fchown(handle, *cluster.account.owner)
    return os.fdopen(handle, "ab")


def _clear_stale_pid(cluster: Cluster) -> None:
    """Remove a `postmaster.pid` whose number now belongs to another process, as happens when a container restarts.

    PostgreSQL would refuse to start forever. If the number is free, the file is left to PostgreSQL, which also checks
    for shared memory that is still in use.
    """
    file = cluster.pgdata / "postmaster.pid"
    if not file.exists():
        return
    pid = _recorded_pid(cluster.pgdata)
    if pid is not None and is_alive(pid) and may_serve(pid, cluster.name):
        raise _failure(
            cluster,
            f"process {pid} is a PostgreSQL that CoreMachine has not started; it seems to serve this directory",
            "End it with `pg_ctl stop`; or, if it serves another directory, delete postmaster.pid in this one.",
        )
    if pid is None or is_alive(pid):
        file.unlink()


def _postmaster(cluster: Cluster) -> int | None:
    """Return the process id of the postmaster, or None if it is not alive."""
    pid = _recorded_pid(cluster.pgdata)
    return pid if pid is not None and is_alive(pid) and may_serve(pid, cluster.name) else None


def _recorded_pid(pgdata: Path) -> int | None:
    try:
        return int((pgdata / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _is_stopping(pgdata: Path) -> bool:
    try:
        return "\nstopping" in (pgdata / "postmaster.pid").read_text(encoding="utf-8")
    except OSError:
        return True


def _failure(cluster: Cluster, what: str, remedy: str) -> EmbeddedServerError:
    return EmbeddedServerError(what, cluster.data_dir, remedy, tail_of(cluster.log))
