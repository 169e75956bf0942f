"""The good way: start, use, share, stop."""

import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.embedded.cluster import Cluster
from tests.integration.embedded.users import User


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_an_empty_place_becomes_a_database_in_utf8_that_sorts_by_code_point(place: Path) -> None:
    with EmbeddedServer.open(place / "data") as server:
        assert ask(server.url, "SELECT current_database()") == "coremachine"
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert ask(server.url, "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{ä,b,B,a}'::text[]) x") == "Babä"


def test_callers_find_psql_and_pg_dump(data_dir: Path) -> None:
    with EmbeddedServer.open(data_dir) as server:
        assert (server.bin_dir / "psql").is_file()
        assert (server.bin_dir / "pg_dump").is_file()


def test_data_survive_a_stop_and_a_start(data_dir: Path, is_running: Callable[[Path], bool]) -> None:
    with EmbeddedServer.open(data_dir) as server:
        execute(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not is_running(data_dir)
    with EmbeddedServer.open(data_dir) as server:
        assert ask(server.url, "SELECT answer FROM kept") == 42


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_durability_cannot_be_configured_away(
    data_dir: Path, setting: str, cluster_at: Callable[[Path], Cluster]
) -> None:
    with (cluster_at(data_dir).pgdata / "postgresql.conf").open("a") as file:
        file.write(f"{setting} = off\n")
    with EmbeddedServer.open(data_dir) as server:
        assert ask(server.url, f"SHOW {setting}") == "on"


def test_the_password_is_private_and_no_one_comes_in_without_it(
    data_dir: Path, cluster_at: Callable[[Path], Cluster]
) -> None:
    file = cluster_at(data_dir).home / "password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with EmbeddedServer.open(data_dir) as server:
        assert conninfo.conninfo_to_dict(server.url)["password"] == file.read_text()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(conninfo.make_conninfo(server.url, password="wrong"))  # noqa: S106 - no secret


def test_the_socket_is_private(data_dir: Path) -> None:
    with EmbeddedServer.open(data_dir) as server:
        assert ask(server.url, "SHOW listen_addresses") == ""
        assert stat.S_IMODE((data_dir / "run").stat().st_mode) == 0o700


def test_an_uninstalled_locale_and_settings_for_other_servers_do_no_harm(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGSERVICE", "no_such_service")
    with EmbeddedServer.open(place / "data") as server, EmbeddedServer.open(place / "data") as joined:
        monkeypatch.delenv("PGSERVICE")
        assert ask(server.url, "SELECT 1") == ask(joined.url, "SELECT 1")


@pytest.mark.parametrize("name", ["with space", "it's 100% ü", 'odd "$HOME" `id` a,b;c \\'])
def test_a_path_may_hold_any_character(place: Path, name: str) -> None:
    with EmbeddedServer.open(place / name) as server:
        assert ask(server.url, "SELECT 1") == 1
    with EmbeddedServer.open(place / name) as server:
        assert server.data_dir == place / name


def test_the_second_process_joins_and_the_last_to_leave_stops_the_server(
    data_dir: Path, user: Callable[[Path], User], is_running: Callable[[Path], bool]
) -> None:
    first, second = user(data_dir), user(data_dir)
    assert first.url() == second.url() != ""
    first.leave()
    assert is_running(data_dir)
    second.leave()
    assert not is_running(data_dir)


def test_two_users_in_one_process_count_as_two(data_dir: Path, is_running: Callable[[Path], bool]) -> None:
    first, second = EmbeddedServer.open(data_dir), EmbeddedServer.open(data_dir)
    first.close()
    first.close()
    assert ask(second.url, "SELECT 1") == 1
    second.close()
    assert not is_running(data_dir)


def test_many_processes_that_open_a_new_place_at_once_get_one_server(
    place: Path, user: Callable[[Path], User], is_running: Callable[[Path], bool]
) -> None:
    users = [user(place / "data") for _ in range(4)]
    assert len({each.url() for each in users}) == 1
    starts = (place / "data" / "server.log").read_text().count("LOG:  starting PostgreSQL")
    for each in users:
        each.leave()
    assert starts == 1
    assert not is_running(place / "data")


def test_stop_ends_the_server_even_if_others_use_it(
    data_dir: Path, user: Callable[[Path], User], is_running: Callable[[Path], bool]
) -> None:
    other = user(data_dir)
    url = other.url()
    EmbeddedServer.open(data_dir).stop()
    assert not is_running(data_dir)
    with EmbeddedServer.open(data_dir) as server:
        assert server.url == url
        other.leave()
        assert is_running(data_dir)


def test_clients_that_are_still_connected_do_not_keep_the_server_alive(
    data_dir: Path, is_running: Callable[[Path], bool]
) -> None:
    server = EmbeddedServer.open(data_dir)
    with psycopg.connect(server.url) as connection:
        server.close()
        assert not is_running(data_dir)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
