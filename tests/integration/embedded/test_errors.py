"""What cannot work says what, where, and what to do."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coremachine.runtime.embedded import EmbeddedServer, EmbeddedServerError
from coremachine.runtime.embedded.account import default_data_dir
from coremachine.runtime.embedded.cluster import Cluster
from coremachine.runtime.embedded.errors import tail_of
from coremachine.statemachine.errors import OperationError


def not_installed(_name: str) -> None:
    return None


def test_a_missing_wheel_names_the_three_ways_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COREMACHINE_PG_BIN", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", not_installed)
    with pytest.raises(EmbeddedServerError) as caught:
        EmbeddedServer.open(place / "data")
    assert isinstance(caught.value, OperationError)
    for way in ("pip install 'coremachine[embedded]'", "COREMACHINE_PG_BIN", "postgresql://"):
        assert way in caught.value.remedy


def test_a_directory_without_postgresql_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COREMACHINE_PG_BIN", str(place))
    with pytest.raises(EmbeddedServerError, match="postgres, initdb, pg_ctl, pg_isready not found") as caught:
        EmbeddedServer.open(place / "data")
    assert caught.value.where == str(place)


def test_a_server_that_does_not_start_shows_the_end_of_its_log(
    data_dir: Path, cluster_at: Callable[[Path], Cluster]
) -> None:
    with (cluster_at(data_dir).pgdata / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match="did not start") as caught:
        EmbeddedServer.open(data_dir)
    assert "no_such_setting" in caught.value.log_tail
    assert "no_such_setting" in str(caught.value)


def test_data_of_another_version_are_left_alone(data_dir: Path, cluster_at: Callable[[Path], Cluster]) -> None:
    version = cluster_at(data_dir).pgdata / "PG_VERSION"
    version.write_text("9\n")
    with pytest.raises(EmbeddedServerError, match="written by PostgreSQL 9, but this is PostgreSQL 1") as caught:
        EmbeddedServer.open(data_dir)
    assert "pg_dump" in caught.value.remedy
    assert version.read_text() == "9\n"


def test_a_file_where_the_directory_should_be_is_an_error_of_ours(place: Path) -> None:
    (place / "data").write_text("")
    with pytest.raises(EmbeddedServerError) as caught:
        EmbeddedServer.open(place / "data" / "below")
    assert "COREMACHINE_DATA_DIR" in caught.value.remedy


def test_the_tail_of_a_log_that_is_not_there_is_empty(place: Path) -> None:
    assert tail_of(place / "server.log") == ""


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"COREMACHINE_DATA_DIR": "/data", "XDG_DATA_HOME": "/xdg"}, "/data"),
        ({"XDG_DATA_HOME": "/xdg"}, "/xdg/coremachine"),
        ({"XDG_DATA_HOME": "relative"}, "~/.local/share/coremachine"),
        ({}, "~/.local/share/coremachine"),
    ],
)
def test_the_default_place_of_an_ordinary_user(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_data_dir(environment) == Path(expected)


def test_the_default_place_of_root_is_not_in_roots_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir({"XDG_DATA_HOME": "/home/someone/.local/share"}) == Path("/var/lib/coremachine")
