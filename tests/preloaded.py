"""Imported before a process forks others: what each would import, and the schema, which each would generate again."""

import gc

import typer.rich_utils

import coremachine.runtime.cli
from coremachine.sql_generator.schema import digests

__all__ = ["coremachine", "typer"]

digests()
gc.freeze()  # a fork that collects would copy each page of this
