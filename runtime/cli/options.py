"""The options that commands share: which database, and which jobs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from ..app import AsyncCoreMachine
from ..app.buses import BusName
from ..settings import Settings
from .app_loader import APP_VARIABLE, AppError, Declarations, load
from .errors import InputError
from .terminal import program_command

# Settings reads the variables of the first three, and an application's own code overrides those. An option overrides
# both, so typer must not read the variables.
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
    typer.Option("--data-dir", help="Data directory of the embedded PostgreSQL (env COREMACHINE_DATA_DIR)."),
]
BusOption = Annotated[
    BusName | None,
    typer.Option("--bus", help="What carries the messages: postgres or servicebus (env COREMACHINE_BUS)."),
]
AppName = Annotated[
    str | None,
    typer.Option(
        "--app",
        envvar=APP_VARIABLE,
        metavar="MODULE[:NAME]",
        help="Module or .py file that declares the jobs; NAME is a Job, a list of Jobs or a CoreMachine.",
    ),
]


def _require_id(value: str) -> str:
    if not value.strip():
        raise InputError("JOB", "the id is empty; `coremachine jobs` lists the ids")
    return value


JobId = Annotated[
    str,
    typer.Argument(metavar="JOB", help="Id of a job, or an unambiguous prefix of it.", callback=_require_id),
]
Key = Annotated[
    str | None,
    typer.Option("--key", help="Idempotency key: with a new key the same work runs again, as another job."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class DatabaseOptions:
    """The database options of a command line; None for an option that was not given."""

    url: str | None = None
    schema: str | None = None
    data_dir: Path | None = None

    def settings(self, **more: object) -> dict[str, Any]:
        """The options that were given, and those of `more` that are not None, by the names of Settings."""
        options = {"url": self.url, "db_schema": self.schema, "data_dir": self.data_dir, **more}
        return {name: value for name, value in options.items() if value is not None}

    def flags(self) -> str:
        """The options again, for another command. A URL is not repeated, as it may contain a password."""
        options = {"--url": self.url and "URL", "--schema": self.schema, "--data-dir": self.data_dir}
        return "".join(f" {flag} {value}" for flag, value in options.items() if value is not None)

    def command(self, step: str, app: str | None = None) -> str:
        """A `coremachine …` command as it must be typed here, with the same options."""
        command = step.replace("coremachine", program_command(), 1)
        return f"{command.replace('--app MODULE', f'--app {app}') if app else command}{self.flags()}"


def application(declarations: Declarations, options: DatabaseOptions, **more: object) -> AsyncCoreMachine:
    """An application, not yet open, of these jobs and records. Options override the module's own settings.

    Raises InputError for an invalid setting.
    """
    scheme, separator, _ = (options.url or "").partition("://")
    if separator and scheme not in {"postgresql", "postgres"}:
        raise InputError(f"{scheme}://…", "not a postgresql:// URL; CoreMachine runs on PostgreSQL only")
    own, given = declarations.app, options.settings(**more)
    jobs, records = declarations.jobs, declarations.records
    if own is None:
        return AsyncCoreMachine(jobs=jobs, records=records, settings=checked_settings(given))
    settings = checked_settings({**own.settings.model_dump(), **given})
    if options.url is not None:
        return AsyncCoreMachine(options.url, jobs=jobs, records=records, settings=settings)
    own.settings = settings
    return own


def load_required(reference: str | None) -> Declarations:
    """What `--app` names. Raises AppError if it was not given."""
    if reference is None:
        raise AppError("no jobs are declared", f"give --app MODULE[:NAME], or set {APP_VARIABLE}")
    return load(reference)


def checked_settings(given: dict[str, Any]) -> Settings:
    """Settings from `given` and from the environment. Raises InputError naming each invalid one."""
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']} (got {one['input']!r})" for one in error.errors()
        )
        raise InputError("settings", f"{problems}; check the options and the COREMACHINE_ variables") from error
