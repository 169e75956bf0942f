"""The options that commands share: which database, and which jobs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from ..app import AsyncCoreMachine
from ..app.buses import BusName
from ..settings import Settings
from .declared import APP_VARIABLE, AppError, Declared, load
from .errors import InputError
from .terminal import us

# The variables of the first three are read by Settings, where they yield to what an application says in its own code.
# An option yields to nothing, so the two must not be mixed up.
Url = Annotated[
    str | None,
    typer.Option(
        "--url", help="postgresql:// URL of the database (env COREMACHINE_URL). Default: embedded PostgreSQL."
    ),
]
SchemaName = Annotated[
    str | None, typer.Option("--schema", help="Schema that holds the tables (env COREMACHINE_DB_SCHEMA). Default: app.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the embedded PostgreSQL keeps its data (env COREMACHINE_DATA_DIR)."),
]
BusOption = Annotated[
    BusName | None,
    typer.Option("--bus", help="What carries the messages, postgres or servicebus (env COREMACHINE_BUS)."),
]
AppName = Annotated[
    str | None,
    typer.Option(
        "--app",
        envvar=APP_VARIABLE,
        metavar="MODULE[:NAME]",
        help="Where the jobs are: a module or .py file; NAME is a Job, a list of Jobs or a CoreMachine.",
    ),
]


def _id_given(value: str) -> str:
    if not value.strip():
        raise InputError("JOB", "an id is wanted, or an unambiguous beginning of one; `coremachine jobs` lists them")
    return value


JobId = Annotated[
    str,
    typer.Argument(metavar="JOB", help="A job's id, or an unambiguous beginning of it.", callback=_id_given),
]
Key = Annotated[str | None, typer.Option("--key", help="Tells apart runs of the same work: a new key runs it anew.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class Where:
    """The database that was asked for on the command line; None where nothing was said."""

    url: str | None = None
    schema: str | None = None
    data_dir: Path | None = None

    def settings(self, **more: object) -> dict[str, Any]:
        """What was said, beside `more`, by the names of Settings."""
        said = {"url": self.url, "db_schema": self.schema, "data_dir": self.data_dir, **more}
        return {name: value for name, value in said.items() if value is not None}

    def flags(self) -> str:
        """The options again, for a command to come; a URL is not repeated, for it may hold a password."""
        said = {"--url": self.url and "URL", "--schema": self.schema, "--data-dir": self.data_dir}
        return "".join(f" {flag} {value}" for flag, value in said.items() if value is not None)

    def command(self, step: str, app: str | None = None) -> str:
        """A command of ours, as `coremachine …`, in the way that it is to be given here."""
        called = step.replace("coremachine", us(), 1)
        return f"{called.replace('--app MODULE', f'--app {app}') if app else called}{self.flags()}"


def application(declared: Declared, where: Where, **more: object) -> AsyncCoreMachine:
    """An application, not yet open, of the declared jobs and records; options come before what a module says.

    Raises InputError for a setting that cannot be.
    """
    scheme, named, _ = (where.url or "").partition("://")
    if named and scheme not in {"postgresql", "postgres"}:
        raise InputError(f"{scheme}://…", "this is no postgresql:// URL, and CoreMachine runs on PostgreSQL alone")
    own, said = declared.app, where.settings(**more)
    if own is None:
        return AsyncCoreMachine(jobs=declared.jobs, records=declared.records, settings=checked_settings(said))
    settings = checked_settings({**own.settings.model_dump(), **said})
    if where.url is not None:
        return AsyncCoreMachine(where.url, jobs=declared.jobs, records=declared.records, settings=settings)
    own.settings = settings
    return own


def jobs_declared(reference: str | None) -> Declared:
    """What `--app` names. Raises AppError where it was not given."""
    if reference is None:
        raise AppError("no jobs are known here", f"name them with --app MODULE[:NAME], or set {APP_VARIABLE}")
    return load(reference)


def checked_settings(said: dict[str, Any]) -> Settings:
    """Settings from what was said and from the environment. Raises InputError naming each that cannot be."""
    try:
        return Settings(**said)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']} (got {one['input']!r})" for one in error.errors()
        )
        raise InputError("settings", f"{problems}; see the options and the COREMACHINE_ variables") from error
