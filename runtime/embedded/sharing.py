"""The users of the server: each holds a share of one lock, and the last one to leave stops the server."""

import atexit
import os
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from .account import Account, default_data_dir, prepare_data_dir
from .binaries import find_binaries
from .cluster import Cluster, ensure_cluster
from .errors import EmbeddedServerError
from .locks import FileLock, exclusive
from .postmaster import ensure_running, stop_server

_START_LOCK_SECONDS = 300.0  # to wait for another process that is creating, starting or stopping the server


class EmbeddedServer:
    """One user of the PostgreSQL server of a data directory.

    `url` is the URL of its database `coremachine` as the owner, `data_dir` its directory, and `bin_dir` the directory
    of psql and pg_dump. The server runs as long as it has a user. A user that is killed leaves at once; its server is
    taken over by the next user, and stopped when that one leaves.

        with EmbeddedServer.open() as server:
            connection = psycopg.connect(server.url)
    """

    def __init__(self, cluster: Cluster, url: str, users: FileLock) -> None:
        """Not for callers: use `open`."""
        self.url = url
        self.data_dir = cluster.data_dir
        self.bin_dir = cluster.binaries.bin_dir
        self._cluster = cluster
        self._users = users
        self._opened_by = os.getpid()
        self._leaving = threading.Lock()
        self._left = False
        atexit.register(self.close)

    @classmethod
    def open(cls, data_dir: Path | None = None) -> Self:
        """Start the server of a data directory or join the running one, and return once it answers.

        The directory is created if it is missing. By default it is `COREMACHINE_DATA_DIR`, else `coremachine` in
        `XDG_DATA_HOME` or `~/.local/share`. As root, for whom PostgreSQL does not run, it is
        `/var/lib/coremachine`, owned and served by `postgres`, or by `nobody` if that account does not exist; a
        directory that belongs to an ordinary account is served by that one. The account must be able to reach it:
        permissions of parent directories are not changed.

        What a crash has left (an incomplete cluster, a stale process id, a killed server's processes) is repaired
        first.

        Raises `EmbeddedServerError` if there is no PostgreSQL, or it does not start.
        """
        if sys.platform == "win32":
            raise EmbeddedServerError(
                "the embedded server does not run on Windows", "win32", "Pass the postgresql:// URL of a server."
            )
        data_dir = (data_dir or default_data_dir(os.environ)).expanduser().resolve()
        try:
            return cls._open(data_dir, prepare_data_dir(data_dir))
        except OSError as error:
            raise EmbeddedServerError(
                f"a file cannot be read or written: {error}",
                data_dir,
                "Free some space or fix the permissions, and try again.",
            ) from error

    @classmethod
    def _open(cls, data_dir: Path, account: Account) -> Self:
        with exclusive(data_dir / "start.lock", _START_LOCK_SECONDS, account.owner):
            cluster = Cluster(data_dir, account, find_binaries(os.environ, account, data_dir))
            users = FileLock(data_dir / "users.lock", account.owner)
            try:
                ensure_cluster(cluster)
                endpoint = ensure_running(cluster)
                users.share()
                return cls(cluster, endpoint.url(cluster.password()), users)
            except BaseException:
                users.release()
                raise

    def close(self) -> None:
        """Leave the server. The last user to leave stops it, which disconnects its clients.

        It is called when the interpreter exits. It does nothing the second time, nor in a forked child: the server
        belongs to the parent, and a child that needs it must call `open` itself.

        Raises `EmbeddedServerError` if the server cannot be stopped.
        """
        self._leave(stop_always=False)

    def stop(self) -> None:
        """Stop the server, even if others use it. The next `open` starts it again.

        Raises `EmbeddedServerError` if the server cannot be stopped.
        """
        self._leave(stop_always=True)

    def _leave(self, *, stop_always: bool) -> None:
        with self._leaving:
            if self._left or os.getpid() != self._opened_by:
                return
            self._left = True
            atexit.unregister(self.close)
            try:
                self._end_server(stop_always=stop_always)
            finally:
                self._users.release()

    def _end_server(self, *, stop_always: bool) -> None:
        if not self.data_dir.exists():
            return  # deleted while the server ran; the server notices within a minute and ends
        with exclusive(self.data_dir / "start.lock", _START_LOCK_SECONDS, self._cluster.account.owner):
            last = self._users.try_exclusive()
            if last or stop_always:
                stop_server(self._cluster)
            self._users.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
