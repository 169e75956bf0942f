"""The files of one cluster: where each is, and how they are created, all or nothing."""

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
_PARTIAL = "half-"
_BUILTIN_LOCALE_SINCE = 17
_INITDB_SECONDS = 300.0

# What a user may tune in postgresql.conf. Fixed settings are passed to each start (see postmaster.py).
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
        """The directory that exists completely or not at all."""
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
        """The name of the server's processes in the system's list of processes."""
        return NAME_PREFIX + hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]

    def run(self, name: str, *arguments: str, pgdata: Path, seconds: float, sql: str = "") -> str:
        """Run a program of PostgreSQL as the server's account, and return its output.

        Raises `EmbeddedServerError` if it fails, or takes more than so many seconds.
        """
        try:
            done = self.account.run(
                [self.binaries.program(name), *arguments],
                environment=environment(pgdata),
                directory=self.data_dir,
                seconds=seconds,
                stdin=sql,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmbeddedServerError(f"{name} did not finish: {error}", pgdata, "Try again.") from error
        if done.returncode != 0:
            output = last_lines(done.stdout)
            raise EmbeddedServerError(
                f"{name} failed (exit code {done.returncode})", pgdata, "Its last output:", output
            )
        return done.stdout


def environment(pgdata: Path) -> dict[str, str]:
    """Return the environment of every program of PostgreSQL. Nothing of this process's environment is passed on.

    An uninstalled `LC_ALL` makes initdb fail, and `PG…` variables mislead clients. The directory is passed in `PGDATA`,
    because pg_ctl puts its `-D` into a shell command.
    """
    return {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath, "PGDATA": str(pgdata)}


def ensure_cluster(cluster: Cluster) -> None:
    """Create the cluster if there is none. Call it under the start lock.

    It is created in another directory and renamed when it is complete, so that no incomplete one is ever found.

    Raises `EmbeddedServerError` if it cannot be created, or was created by another version of PostgreSQL.
    """
    if cluster.home.exists():
        _check_version(cluster)
        return
    for partial in cluster.data_dir.glob(f"{_PARTIAL}*"):
        shutil.rmtree(partial)
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=cluster.data_dir))
    if cluster.account.owner is not None:
        os.chown(partial, *cluster.account.owner)
    write_private(partial / "password", secrets.token_hex(24), cluster.account)
    _initdb(cluster, partial)
    partial.rename(cluster.home)
    _flush_directory(cluster.data_dir)


def write_private(path: Path, text: str, account: Account) -> None:
    """Write a small file that only the server's account can read. It is replaced as a whole."""
    partial = path.with_name(f"{path.name}.half")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if account.owner is not None:
            os.fchown(file.fileno(), *account.owner)
    partial.rename(path)


def _check_version(cluster: Cluster) -> None:
    major = (cluster.pgdata / "PG_VERSION").read_text(encoding="utf-8").strip()
    if major != str(cluster.binaries.major):
        raise EmbeddedServerError(
            f"the data was written by PostgreSQL {major}, but this is PostgreSQL {cluster.binaries.major}",
            cluster.pgdata,
            f"Set COREMACHINE_PG_BIN to a PostgreSQL {major}, or move the data with its pg_dump, "
            "or choose another data directory.",
        )


def _initdb(cluster: Cluster, partial: Path) -> None:
    pgdata = partial / "data"
    common = [f"--username={OWNER}", f"--pwfile={partial / 'password'}", "--auth=scram-sha-256", "-E", "UTF8", "-k"]
    for locale in _locale_choices(cluster.binaries.major):
        try:
            cluster.run("initdb", *common, *locale, pgdata=pgdata, seconds=_INITDB_SECONDS)
            break
        except EmbeddedServerError as error:
            if "invalid locale name" not in error.log_tail:
                raise
    with (pgdata / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(_SETTINGS)
    # In single-user mode, before the rename, so that no cluster exists without its database.
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
