"""Where the server listens: on a private Unix socket if the path allows it, else on the loopback address.

The socket is preferred: it needs no port that another program might take, only the account that owns its directory can
connect, its address is the same after every start, and a round trip takes about a third of the time. But its path may
have only 103 bytes (macOS; 107 on Linux); with a longer one the server listens on 127.0.0.1.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .account import Account
from .cluster import DATABASE, OWNER, Cluster, write_private

_SOCKET_PORT = 5432  # only part of the socket's name
_SOCKET_PATH_LIMIT = 103  # bytes
_UNSAFE_IN_A_LIST = frozenset('",\n\\')  # unix_socket_directories is a list with its own quotes
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Endpoint:
    """One address of the server."""

    host: str  # a directory, or an address
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether clients connect through a Unix socket."""
        return self.host.startswith("/")

    def server_settings(self) -> dict[str, str]:
        """Return the settings that make the server listen here and nowhere else."""
        if self.is_socket:
            listen = {"listen_addresses": "", "unix_socket_directories": f'"{self.host}"'}
        else:
            listen = {"listen_addresses": self.host, "unix_socket_directories": ""}
        return {**listen, "port": str(self.port), "unix_socket_permissions": "0700"}

    def url(self, password: str) -> str:
        """Return the URL of the owner's database."""
        if self.is_socket:
            return f"postgresql://{OWNER}:{password}@/{DATABASE}?host={quote(self.host, safe='')}&port={self.port}"
        return f"postgresql://{OWNER}:{password}@{self.host}:{self.port}/{DATABASE}"


def endpoint_for_start(cluster: Cluster, *, fresh_port: bool) -> Endpoint:
    """Return where the server is going to listen. With TCP it is its last port, unless `fresh_port` is set."""
    if directory := socket_directory(cluster.data_dir):
        _prepare_socket_directory(directory, cluster.account)
        return Endpoint(str(directory), _SOCKET_PORT)
    last = None if fresh_port else _recorded_port(cluster.data_dir)
    port = last or _free_port()
    write_private(cluster.data_dir / "port", str(port), cluster.account)
    return Endpoint(_LOOPBACK, port)


def endpoint_of_running(cluster: Cluster) -> Endpoint:
    """Return where a running server listens."""
    if directory := socket_directory(cluster.data_dir):
        return Endpoint(str(directory), _SOCKET_PORT)
    return Endpoint(_LOOPBACK, int((cluster.data_dir / "port").read_text(encoding="utf-8")))


def socket_directory(data_dir: Path) -> Path | None:
    """Return the private directory of the socket, or None if its path is too long or has unsafe characters."""
    directory = data_dir / "run"
    path = os.fsencode(directory / f".s.PGSQL.{_SOCKET_PORT}")
    if len(path) > _SOCKET_PATH_LIMIT or _UNSAFE_IN_A_LIST & set(str(directory)):
        return None
    return directory


def _prepare_socket_directory(directory: Path, account: Account) -> None:
    """Create it, or remove the files of a killed server: a process id in them may belong to another process now."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if account.owner is not None:
        os.chown(directory, *account.owner, follow_symlinks=False)
    for stale in directory.glob(".s.PGSQL.*"):
        stale.unlink()


def _recorded_port(data_dir: Path) -> int | None:
    try:
        return int((data_dir / "port").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
