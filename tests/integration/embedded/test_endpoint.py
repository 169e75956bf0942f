"""A path that is too long for a socket falls back to TCP on the loopback."""

import socket
from pathlib import Path

import psycopg
import pytest

from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.embedded.endpoint import socket_directory


@pytest.fixture
def long_data_dir(data_dir: Path) -> Path:
    """A closed cluster whose socket's path would have more bytes than a socket's path may have."""
    return data_dir.rename(data_dir.with_name("long" * 40))


def test_a_long_path_falls_back_to_the_loopback(long_data_dir: Path) -> None:
    with EmbeddedServer.open(long_data_dir) as server, psycopg.connect(server.url) as connection:
        assert connection.info.host == "127.0.0.1"
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)


def test_the_one_who_joins_finds_the_port(long_data_dir: Path) -> None:
    with EmbeddedServer.open(long_data_dir) as first, EmbeddedServer.open(long_data_dir) as second:
        assert second.url == first.url


def test_the_port_stays_the_same_while_it_is_free(long_data_dir: Path) -> None:
    with EmbeddedServer.open(long_data_dir) as server:
        before = server.url
    with EmbeddedServer.open(long_data_dir) as server:
        assert server.url == before


def test_a_port_that_somebody_else_took_is_left_to_them(long_data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = int(other.getsockname()[1])
        (long_data_dir / "port").write_text(str(taken))
        with EmbeddedServer.open(long_data_dir) as server, psycopg.connect(server.url) as connection:
            assert connection.info.port != taken


@pytest.mark.parametrize(("length", "fits"), [(103, True), (104, False)])
def test_the_limit_counts_bytes_of_the_whole_path(length: int, fits: bool) -> None:  # noqa: FBT001 - a case's outcome
    rest = len("/run/.s.PGSQL.5432")
    name = "/" + "ü" * ((length - rest - 1) // 2)
    data_dir = Path(name + "x" * (length - rest - len(name.encode())))
    assert (socket_directory(data_dir) is not None) is fits
