"""Whatever a crash leaves, the next open puts right."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from coremachine.runtime.embedded import EmbeddedServer, EmbeddedServerError
from coremachine.runtime.embedded.cluster import Cluster
from coremachine.runtime.embedded.locks import FileLock
from tests.integration.embedded.users import User

KILLED_BEFORE_THE_CLUSTER_IS_COMPLETE = """
import os, signal, sys
from pathlib import Path
from coremachine.runtime.embedded import EmbeddedServer, cluster
complete = cluster._initdb
def half(*arguments):
    complete(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
cluster._initdb = half
EmbeddedServer.open(Path(sys.argv[1]))
"""

KILLED_BEFORE_IT_IS_A_USER = """
import os, signal, sys
from pathlib import Path
from coremachine.runtime.embedded import EmbeddedServer
import coremachine.runtime.embedded.sharing as sharing
def ensure_running(cluster):
    started(cluster)
    os.kill(os.getpid(), signal.SIGKILL)
started, sharing.ensure_running = sharing.ensure_running, ensure_running
EmbeddedServer.open(Path(sys.argv[1]))
"""

# Two processes write into one pipe: os.write keeps a line whole, print without a buffer does not.
FORKS = """
import os, sys
from pathlib import Path
from coremachine.runtime.embedded import EmbeddedServer
server = EmbeddedServer.open(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    server.close()
    server.stop()
    os.write(1, b"child\\n")
    sys.stdin.readline()
    sys.exit()
os.write(1, b"parent\\n")
if sys.argv[2] == "the parent waits":
    os.waitpid(child, 0)
    os.write(1, b"%d\\n" % os.path.exists(server.data_dir / "cluster/data/postmaster.pid"))
else:
    server.close()
    os.write(1, b"%d\\n" % os.path.exists(server.data_dir / "cluster/data/postmaster.pid"))
    os.waitpid(child, 0)
"""

FORKS_AND_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from coremachine.runtime.embedded import EmbeddedServer
server = EmbeddedServer.open(Path(sys.argv[1]))
if os.fork() == 0:
    print("child", flush=True)
    sys.stdin.readline()
    sys.exit()
sys.stdout.close()
os.kill(os.getpid(), signal.SIGKILL)
"""


def die_in(script: str, data_dir: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", script, str(data_dir)], check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == -signal.SIGKILL


def started_at(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT pg_postmaster_start_time()").fetchone()


def postmaster_of(cluster: Cluster) -> int:
    return int((cluster.pgdata / "postmaster.pid").read_text().splitlines()[0])


def keep(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")


def kept(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_left_by_killed_users_is_adopted_and_ended_with_the_next_one(
    data_dir: Path, user: Callable[[Path], User], is_running: Callable[[Path], bool], number: signal.Signals
) -> None:
    first, second = user(data_dir), user(data_dir)
    before = started_at(first.url())
    second.url()
    first.killed_by(number)
    second.killed_by(number)
    assert is_running(data_dir)
    with EmbeddedServer.open(data_dir) as server:
        assert started_at(server.url) == before
    assert not is_running(data_dir)


def test_a_starter_killed_before_it_is_a_user_leaves_a_server_that_is_adopted(
    data_dir: Path, is_running: Callable[[Path], bool]
) -> None:
    die_in(KILLED_BEFORE_IT_IS_A_USER, data_dir)
    assert is_running(data_dir)
    EmbeddedServer.open(data_dir).close()
    assert not is_running(data_dir)


def test_half_a_cluster_is_never_taken_for_one(place: Path) -> None:
    die_in(KILLED_BEFORE_THE_CLUSTER_IS_COMPLETE, place / "data")
    assert [path.name[:5] for path in (place / "data").iterdir() if path.is_dir()] == ["half-"]
    with EmbeddedServer.open(place / "data") as server:
        keep(server.url)
    assert not list((place / "data").glob("half-*"))


@pytest.mark.parametrize("round_", range(3))
def test_a_killed_postmaster_is_replaced_and_committed_data_are_there(
    data_dir: Path, cluster_at: Callable[[Path], Cluster], round_: int
) -> None:
    del round_
    with EmbeddedServer.open(data_dir) as user:
        keep(user.url)
        os.kill(postmaster_of(cluster_at(data_dir)), signal.SIGKILL)
        with EmbeddedServer.open(data_dir) as server:
            assert kept(server.url) == (1000,)
            assert server.url == user.url


def test_a_backend_that_outlives_a_killed_postmaster_does_not_stand_in_the_way(
    data_dir: Path, cluster_at: Callable[[Path], Cluster]
) -> None:
    with EmbeddedServer.open(data_dir) as server, psycopg.connect(server.url) as busy:
        keep(server.url)
        query = threading.Thread(target=compute_for_ever, args=[busy])
        query.start()
        wait_until_active(server.url, busy.info.backend_pid)
        os.kill(postmaster_of(cluster_at(data_dir)), signal.SIGKILL)
        with EmbeddedServer.open(data_dir) as next_server:
            query.join()
            assert kept(next_server.url) == (1000,)


def as_if_not_held(_lock: Path) -> bool:
    return False


def compute_for_ever(connection: psycopg.Connection) -> None:
    """Run what looks neither at the clock nor at the client, until the server is gone."""
    with pytest.raises(psycopg.OperationalError):
        connection.execute("DO $$ BEGIN PERFORM pg_advisory_xact_lock(7); LOOP END LOOP; END $$")


def wait_until_active(url: str, backend: int) -> None:
    question = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(question, [backend]).fetchone() is None:
            pass


@pytest.mark.parametrize("content", [str(os.getpid()), "", "not a number"], ids=["another", "empty", "no number"])
def test_a_process_id_that_is_another_process_now_does_not_stop_the_start(
    data_dir: Path, cluster_at: Callable[[Path], Cluster], content: str
) -> None:
    (cluster_at(data_dir).pgdata / "postmaster.pid").write_text(f"{content}\n")
    with EmbeddedServer.open(data_dir) as server:
        keep(server.url)


def test_a_server_that_somebody_started_by_hand_is_not_touched(
    data_dir: Path,
    cluster_at: Callable[[Path], Cluster],
    user: Callable[[Path], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = user(data_dir)
    url = started.url()
    before = started_at(url)
    monkeypatch.setattr("coremachine.runtime.embedded.postmaster.is_held", as_if_not_held)
    with pytest.raises(EmbeddedServerError, match=f"process {postmaster_of(cluster_at(data_dir))} is a PostgreSQL"):
        EmbeddedServer.open(data_dir)
    assert started_at(url) == before
    started.leave()


def test_processes_that_cannot_be_ended_are_an_error_that_names_the_lock(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coremachine.runtime.embedded.postmaster._ORPHANS_SECONDS", 0.01)
    held = FileLock(data_dir / "server.lock")
    held.share()
    try:
        with pytest.raises(EmbeddedServerError, match=r"end them manually"):
            EmbeddedServer.open(data_dir)
    finally:
        held.release()


@pytest.mark.parametrize("who", ["the parent waits", "the child waits"])
def test_a_forked_child_neither_closes_nor_keeps_its_parents_server(
    data_dir: Path, who: str, is_running: Callable[[Path], bool]
) -> None:
    script = [sys.executable, "-c", FORKS, str(data_dir), who]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = {process.stdout.readline().strip() for _ in range(2 if who == "the parent waits" else 3)}
        process.stdin.close()
        said |= {line.strip() for line in process.stdout}
    assert said == {"child", "parent", "1" if who == "the parent waits" else "0"}
    assert not is_running(data_dir)


def test_a_child_that_outlives_its_killed_parent_is_no_user(data_dir: Path, is_running: Callable[[Path], bool]) -> None:
    script = [sys.executable, "-c", FORKS_AND_IS_KILLED, str(data_dir)]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "child\n"
        assert process.wait() == -signal.SIGKILL
        EmbeddedServer.open(data_dir).close()
        assert not is_running(data_dir)


def test_a_deleted_data_directory_does_not_make_closing_fail(data_dir: Path, user: Callable[[Path], User]) -> None:
    other = user(data_dir)
    other.url()
    with EmbeddedServer.open(data_dir) as server:
        away = data_dir.rename(data_dir.with_name("away"))
    away.rename(data_dir)
    assert started_at(server.url)
    other.leave()
