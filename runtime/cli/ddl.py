"""`coremachine ddl`: the schema as a script for psql."""

import sys
from typing import Annotated

import typer

from ...sql_generator.schema import script
from ...statemachine.records import Schema
from ...statemachine.tables import SCHEMA
from .declared import records_of
from .options import SchemaName, Where, checked_settings


def ddl(
    *,
    schema: SchemaName = None,
    records: Annotated[
        str | None,
        typer.Option(
            "--records", metavar="MODULE[:NAME]", help="Records of your own: a Record, a list, a CoreMachine."
        ),
    ] = None,
) -> None:
    """Print the schema as SQL, without a connection. Applied twice, it changes nothing the second time.

    coremachine ddl | psql -X -v ON_ERROR_STOP=1 -1
    """
    own = records_of(records) if records else ()
    name = checked_settings(Where(schema=schema).settings()).db_schema
    sys.stdout.write(script(Schema((*SCHEMA.records, *own)), name))
