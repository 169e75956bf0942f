"""The account that the server runs as, and its data directory. PostgreSQL refuses to run as root."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import EmbeddedServerError

if sys.platform != "win32":
    import pwd

DATA_DIR_VARIABLE = "COREMACHINE_DATA_DIR"
ROOT_DATA_DIR = Path("/var/lib/coremachine")
_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """The account of the server: this process's own, or, as root, an unprivileged one that exists."""

    uid: int
    gid: int
    name: str
    switched: bool  # root drops its rights to become this account

    @property
    def owner(self) -> tuple[int, int] | None:
        """The user and group that root gives its files to; None if this process already has that account."""
        return (self.uid, self.gid) if self.switched else None

    def run(  # noqa: PLR0913 - the options of one subprocess
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path = Path("/"),
        seconds: float = 30.0,
        stdin: str = "",
        output: int | IO[bytes] = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, without root's groups and with `stdin` as its input, and return how it ended.

        Raises `OSError` if it cannot be started, and `subprocess.TimeoutExpired` after so many seconds.
        """
        return subprocess.run(  # noqa: S603 - PostgreSQL's own programs, and no shell
            command,
            env=environment,
            cwd=directory,
            user=self.uid if self.switched else None,
            group=self.gid if self.switched else None,
            extra_groups=[] if self.switched else None,
            start_new_session=True,  # Ctrl-C in the terminal is not meant for it
            check=False,
            input=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            pass_fds=pass_fds,
        )


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Return the default data directory.

    `COREMACHINE_DATA_DIR`; else, as root, `/var/lib/coremachine`, because an unprivileged server cannot reach
    root's home; else `coremachine` in `XDG_DATA_HOME` or `~/.local/share`.
    """
    if chosen := environment.get(DATA_DIR_VARIABLE):
        return Path(chosen)
    if os.geteuid() == 0:
        return ROOT_DATA_DIR
    data_home = Path(environment.get("XDG_DATA_HOME", ""))
    if not data_home.is_absolute():  # the XDG specification says to ignore a relative path
        data_home = Path("~/.local/share")
    return data_home / "coremachine"


def prepare_data_dir(data_dir: Path) -> Account:
    """Create the data directory if it is missing, and return the account that owns it.

    As root: the owner of an existing directory serves it if that is an ordinary account; an empty or new directory is
    given to `postgres`, or else to `nobody`. Permissions of existing directories are never changed.

    Raises `EmbeddedServerError` if it cannot be created, belongs to another account, or cannot be reached.
    """
    try:
        account = _choose_account(data_dir)
        if not data_dir.exists():
            _create(data_dir, account)
        elif account.switched and data_dir.stat().st_uid == 0:
            _give_to_account(data_dir, account)
    except OSError as error:
        raise EmbeddedServerError(
            f"cannot create the data directory: {error.strerror}", data_dir, _another_directory()
        ) from error
    _check_reachable(data_dir, account)
    return account


def _another_directory() -> str:
    return f"Set {DATA_DIR_VARIABLE} to a writable directory, or pass the postgresql:// URL of a server."


def _choose_account(data_dir: Path) -> Account:
    uid = os.geteuid()
    if uid != 0:
        return _own_account(data_dir, uid)
    owner = data_dir.stat().st_uid if data_dir.exists() else 0
    if owner != 0:
        found = [entry for entry in pwd.getpwall() if entry.pw_uid == owner]
    else:
        found = [entry for name in _UNPRIVILEGED for entry in pwd.getpwall() if entry.pw_name == name]
    if not found:
        missing = f"its owner, user {owner}," if owner else " or ".join(_UNPRIVILEGED)
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and {missing} is not an account of this machine",
            data_dir,
            "Run as an ordinary user, or give the data directory to an existing account.",
        )
    return Account(found[0].pw_uid, found[0].pw_gid, found[0].pw_name, switched=True)


def _own_account(data_dir: Path, uid: int) -> Account:
    if data_dir.exists() and (owner := data_dir.stat().st_uid) != uid:
        raise EmbeddedServerError(
            f"the data directory belongs to user {owner}, but this process runs as user {uid}",
            data_dir,
            _another_directory(),
        )
    return Account(uid, os.getegid(), str(uid), switched=False)


def _create(data_dir: Path, account: Account) -> None:
    for parent in reversed(data_dir.parents):
        if not parent.exists():
            parent.mkdir(exist_ok=True)
            if account.switched:
                parent.chmod(0o755)  # created here; a narrow umask would keep the server out
    data_dir.mkdir(mode=0o700, exist_ok=True)
    if account.owner is not None:
        os.chown(data_dir, *account.owner)


def _give_to_account(data_dir: Path, account: Account) -> None:
    if any(data_dir.iterdir()):
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, but the data directory belongs to root and is not empty",
            data_dir,
            f"Choose an empty or new directory, or change its owner: chown -R {account.name} '{data_dir}'.",
        )
    data_dir.chmod(0o700)
    os.chown(data_dir, account.uid, account.gid)


def _check_reachable(data_dir: Path, account: Account) -> None:
    """Ask the kernel, as that account, because parent directories, groups and access lists all matter."""
    check = account.run(["/bin/sh", "-c", 'test -w "$1" && test -x "$1"', "sh", str(data_dir)], environment={})
    if check.returncode != 0:
        raise EmbeddedServerError(
            f"the server runs as user {account.name}, who cannot reach or write the data directory",
            data_dir,
            _another_directory(),
        )
