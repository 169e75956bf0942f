"""Data directories that the server's account can reach, and users of it in separate processes."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.embedded.account import Account
from coremachine.runtime.embedded.binaries import Binaries
from coremachine.runtime.embedded.cluster import Cluster
from coremachine.runtime.embedded.locks import is_held
from coremachine.runtime.embedded.processes import processes_of
from tests.integration.embedded.users import User

# What root may do is not a test of an ordinary user's.
collect_ignore = [] if os.geteuid() == 0 else ["test_as_root.py"]


def cluster_at(data_dir: Path) -> Cluster:
    """Name the files and processes of a cluster, for a look at them from outside."""
    nothing = Binaries(Path(), Path(), 0)
    return Cluster(data_dir, Account(os.geteuid(), os.getegid(), "", switched=False), nothing)


@pytest.fixture(name="cluster_at")
def cluster_at_fixture() -> Callable[[Path], Cluster]:
    return cluster_at


@pytest.fixture
def is_running() -> Callable[[Path], bool]:
    def ask(data_dir: Path) -> bool:
        return is_held(data_dir / "server.lock") or bool(processes_of(cluster_at(data_dir).name))

    return ask


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the server's account can enter; afterwards no server may run in it."""
    with reachable_directory() as path:
        yield path
        assert_nothing_runs_in(path)


@pytest.fixture
def data_dir(place: Path, closed_cluster: Path) -> Path:
    """A data directory with a cluster in it that was closed."""
    copy = place / "data"
    shutil.copytree(closed_cluster, copy, symlinks=True)
    if os.geteuid() == 0:
        owner = closed_cluster.stat()
        for path in (copy, *copy.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return copy


@pytest.fixture(scope="session")
def closed_cluster() -> Iterator[Path]:
    with reachable_directory() as path:
        EmbeddedServer.open(path / "closed").close()
        yield path / "closed"
        assert_nothing_runs_in(path)


@pytest.fixture
def user() -> Iterator[Callable[[Path], User]]:
    users: list[User] = []

    def start(data_dir: Path) -> User:
        users.append(User(data_dir))
        return users[-1]

    yield start
    for each in users:
        each.process.kill()
        each.process.communicate()


@contextmanager
def reachable_directory() -> Generator[Path]:
    """Make a directory outside of pytest's own, which is closed to other accounts than the one that runs it."""
    with tempfile.TemporaryDirectory(prefix="coremachine-test-") as name:
        path = Path(name).resolve()
        path.chmod(0o755)
        yield path


def assert_nothing_runs_in(path: Path) -> None:
    left = [pid for lock in path.rglob("server.lock") for pid in processes_of(cluster_at(lock.parent).name)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []
