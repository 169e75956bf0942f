"""The files of one cluster: where each lies, and how they are made, all or nothing."""

import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .account import Account
from .binaries import Binaries
from .errors import EmbeddedServerError, last_lines
from .processes import NAME_PREFIX

DATABASE = "coremachine"
OWNER = "coremachine"
_HALF = "half-"
_BUILTIN_LOCALE_SINCE = 17
_INITDB_SECONDS = 300.0

# What a user may tune in postgresql.conf; what may not vary is given to each start (see postmaster.py).
_SETTINGS = """
# CoreMachine
max_connections = 100
shared_buffers = 128MB
max_wal_size = 2GB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
"""


@dataclass(frozen=True)
class Cluster:
    """One data directory, the account that owns it and the programs that serve it.

    In it: `cluster/data` (PostgreSQL's own), `cluster/password`, `run` (the socket), `port` (with TCP only),
    `server.log`, and the locks `start.lock` (starts and stops), `users.lock` (who uses the server), `server.lock`
    (held by the server's processes themselves).
    """

    data_dir: Path
    account: Account
    binaries: Binaries

    @property
    def home(self) -> Path:
        """The directory that is there whole, or not at all."""
        return self.data_dir / "cluster"

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.data_dir / "server.log"

    @property
    def server_lock(self) -> Path:
        """The lock that every process of the server holds."""
        return self.data_dir / "server.lock"

    def password(self) -> str:
        """Read the owner's password."""
        return (self.home / "password").read_text(encoding="utf-8")

    @property
    def name(self) -> str:
        """What the server's processes are known by in the system's list of processes."""
        return NAME_PREFIX + hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]

    def run(self, name: str, *arguments: str, pgdata: Path, seconds: float, sql: str = "") -> str:
        """Run a program of PostgreSQL as the server's account, and return what it said.

        Raises `EmbeddedServerError` where it fails, or takes more than so many seconds.
        """
        try:
            done = self.account.run(
                [self.binaries.program(name), *arguments],
                environment=environment(pgdata),
                directory=self.data_dir,
                seconds=seconds,
                said=sql,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmbeddedServerError(f"{name} did not run to its end: {error}", pgdata, "Try again.") from error
        if done.returncode != 0:
            said = last_lines(done.stdout)
            raise EmbeddedServerError(f"{name} failed (exit {done.returncode})", pgdata, "Its last words:", said)
        return done.stdout


def environment(pgdata: Path) -> dict[str, str]:
    """Return the environment that every program of PostgreSQL is started with, and nothing of ours.

    An uninstalled `LC_ALL` makes initdb fail, and `PG…` variables lead clients astray. The directory is handed over in
    `PGDATA`, because pg_ctl pastes its `-D` into a shell command.
    """
    return {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath, "PGDATA": str(pgdata)}


def ensure_cluster(cluster: Cluster) -> None:
    """Make the cluster if there is none. Under the start lock.

    It is made in a directory beside and renamed when it is complete, so that a half-made one is never found.

    Raises `EmbeddedServerError` where it cannot be made, or was made by another version of PostgreSQL.
    """
    if cluster.home.exists():
        _check_version(cluster)
        return
    for half in cluster.data_dir.glob(f"{_HALF}*"):
        shutil.rmtree(half)
    half = Path(tempfile.mkdtemp(prefix=_HALF, dir=cluster.data_dir))
    if cluster.account.owner is not None:
        os.chown(half, *cluster.account.owner)
    write_private(half / "password", secrets.token_hex(24), cluster.account)
    _initdb(cluster, half)
    half.rename(cluster.home)
    _flush_directory(cluster.data_dir)


def write_private(path: Path, text: str, account: Account) -> None:
    """Write a small file that only the server's account can read, all at once."""
    half = path.with_name(f"{path.name}.half")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if account.owner is not None:
            os.fchown(file.fileno(), *account.owner)
    half.rename(path)


def _check_version(cluster: Cluster) -> None:
    made_by = (cluster.pgdata / "PG_VERSION").read_text(encoding="utf-8").strip()
    if made_by != str(cluster.binaries.major):
        raise EmbeddedServerError(
            f"the data were written by PostgreSQL {made_by}, and this is PostgreSQL {cluster.binaries.major}",
            cluster.pgdata,
            f"Point COREMACHINE_PG_BIN at a PostgreSQL {made_by}, or move the data with its pg_dump, "
            "or name another data directory.",
        )


def _initdb(cluster: Cluster, half: Path) -> None:
    pgdata = half / "data"
    common = [f"--username={OWNER}", f"--pwfile={half / 'password'}", "--auth=scram-sha-256", "-E", "UTF8", "-k"]
    for locale in _locale_choices(cluster.binaries.major):
        try:
            cluster.run("initdb", *common, *locale, pgdata=pgdata, seconds=_INITDB_SECONDS)
            break
        except EmbeddedServerError as error:
            if "invalid locale name" not in error.log_tail:
                raise
    with (pgdata / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(_SETTINGS)
    # In single-user mode, before the rename: the cluster and its database come into being as one.
    single = ("--single", "-c", "exit_on_error=on", "postgres")
    cluster.run("postgres", *single, pgdata=pgdata, seconds=_INITDB_SECONDS, sql=f"CREATE DATABASE {DATABASE}\n")


def _locale_choices(major: int) -> list[list[str]]:
    if major >= _BUILTIN_LOCALE_SINCE:
        return [["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]]
    return [["--locale=C.UTF-8"], ["--no-locale"]]  # not every system has C.UTF-8


def _flush_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
