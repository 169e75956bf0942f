"""Imported before a process forks others: what each would import, and the schema, which each would generate again."""

import gc
from importlib import import_module

from coremachine.sql_generator.schema import digests

for name in ("coremachine.runtime.cli", "typer.rich_utils"):
    import_module(name)
digests()
gc.freeze()  # a fork that collects would copy each page of this
