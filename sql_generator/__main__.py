import argparse
import sys

from ..statemachine.errors import CoreMachineError
from .schema import script


def main() -> int:
    """Print the DDL of the schema, without a connection."""
    parser = argparse.ArgumentParser(prog="python -m coremachine.sql_generator", description=main.__doc__)
    parser.add_argument("--schema", default="app", help="the schema to install into (default: app)")
    try:
        sys.stdout.write(script(schema=parser.parse_args().schema))
    except CoreMachineError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
