"""`coremachine db`: the schema in a database."""

import asyncio
from contextlib import ExitStack

import typer

from ...app.buses import database_of
from ...store.database import Database
from ..app_loader import load
from ..options import AppName, DatabaseOptions, DataDir, SchemaName, Url, application

db = typer.Typer(no_args_is_help=True, help="The schema in a database.")


@db.callback()
def _group() -> None:
    """Make `install` a command of a group, which has room for others."""


@db.command()
def install(*, app: AppName = None, url: Url = None, schema: SchemaName = None, data_dir: DataDir = None) -> None:
    """Install the schema, or bring it up to this declaration, in one transaction.

    With --app, the tables of that module's records are installed too.
    """
    core = application(load(app), DatabaseOptions(url, schema, data_dir))
    address = core.url
    with ExitStack() as stack:
        if address is None:
            from ...embedded import EmbeddedServer  # an extra, imported only where it is used

            address = stack.enter_context(EmbeddedServer.open(core.settings.data_dir)).url
        database = database_of(address, core.settings, core.schema)
        done = asyncio.run(_install(database))
    what = f"schema {database.schema} in {database.where}"
    typer.echo(f"installed {what}" if done else f"nothing to do: {what} is already installed")


async def _install(database: Database) -> bool:
    try:
        await database.reach()
        return await database.install()
    finally:
        await database.close()
