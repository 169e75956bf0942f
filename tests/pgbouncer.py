"""PgBouncer in transaction mode before the test server, on a free port, for as long as a block lasts."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

POOL = 5
SOON = 20.0
CONFIGURATION = """\
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 500
logfile = {log}
"""


@contextmanager
def pgbouncer(url: str, *, pool: int = POOL) -> Generator[str]:
    """The URL of the same database through PgBouncer, with at most `pool` connections of the server."""
    program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        pytest.skip("needs PgBouncer (Debian: apt-get install pgbouncer)")
    with tempfile.TemporaryDirectory(prefix="coremachine-pgbouncer-") as place:
        Path(place).chmod(0o777)
        host, own_port = str(conninfo_to_dict(url).get("host", "127.0.0.1")), _free_port()
        configuration = _configure(Path(place), url, own_port, pool)
        with subprocess.Popen([program, "--quiet", *_user(host), str(configuration)]) as running:
            try:
                through = make_conninfo(url, host="127.0.0.1", port=own_port)
                _until_it_answers(through, running)
                yield through
            finally:
                running.kill()


def _configure(place: Path, url: str, own_port: int, pool: int) -> Path:
    address = conninfo_to_dict(url)
    users, configuration = place / "users", place / "pgbouncer.ini"
    users.write_text(f'"{address["user"]}" "{address["password"]}"\n')
    names = {"own_port": own_port, "users": users, "pool": pool, "log": place / "log"}
    host, port = address.get("host", "127.0.0.1"), address.get("port", 5432)
    configuration.write_text(CONFIGURATION.format(host=host, port=port, **names))
    return configuration


def _user(host: str) -> list[str]:
    """It does not run as root: the owner of the server's socket may connect, and of an address anybody."""
    if os.geteuid() != 0:
        return []
    return ["--user", pwd.getpwuid(Path(host).stat().st_uid).pw_name if host.startswith("/") else "nobody"]


def _until_it_answers(url: str, running: "subprocess.Popen[bytes]") -> None:
    latest = time.monotonic() + SOON
    while True:
        assert running.poll() is None, "PgBouncer has ended"
        try:
            with psycopg.connect(url, connect_timeout=2):
                return
        except psycopg.OperationalError:
            if time.monotonic() > latest:
                raise


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
