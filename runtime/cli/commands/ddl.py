"""`coremachine ddl`: the schema as a script for psql."""

import sys
from typing import Annotated

import typer

from ....sql_generator.schema import script
from ....statemachine.records import Schema
from ....statemachine.tables import SCHEMA
from ..app_loader import load_records
from ..options import DatabaseOptions, SchemaName, checked_settings


def ddl(
    *,
    schema: SchemaName = None,
    records: Annotated[
        str | None,
        typer.Option(
            "--records", metavar="MODULE[:NAME]", help="Your own records: a Record, a list of them, or a CoreMachine."
        ),
    ] = None,
) -> None:
    """Print the schema as SQL, without a connection. Applying it twice is safe.

    coremachine ddl | psql -X -v ON_ERROR_STOP=1 -1
    """
    own = load_records(records) if records else ()
    name = checked_settings(DatabaseOptions(schema=schema).settings()).db_schema
    sys.stdout.write(script(Schema((*SCHEMA.records, *own)), name))
