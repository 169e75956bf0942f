"""Names of schemas: written without quotes in every statement, and part of the names of a role and a channel."""

from ..statemachine.checks import check_name
from ..statemachine.errors import DefinitionError

RESERVED = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
    from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
    returning right select session_user similar some symmetric system_user table tablesample then to trailing true union
    unique user using variadic verbose when where window with
    """.split()  # noqa: SIM905 - a list of so many words is read more easily as text
)
"""Words that PostgreSQL 15 to 18 take for a schema only in quotes."""

UNREADABLE = frozenset(
    """
    alter begin between cache call comment commit copy declare delete describe drop exec execute explain function glob
    if insert kill load lock merge optimize partitioned_by pivot pragma prepare qualify refresh regexp reindex rename
    reset revoke rlike rollback set show truncate uncache unpivot update use vacuum values xor
    """.split()  # noqa: SIM905
)
"""Words that sqlglot takes for the beginning of a statement, or for an operator."""


def check_schema_name(name: str) -> None:
    """Raise DefinitionError unless a schema of this name can be installed, and no other shares its role and channel."""
    check_name("schema", name)  # at most 50 characters: with its prefix, PostgreSQL would cut off a longer name
    if name in RESERVED | UNREADABLE:
        raise DefinitionError(f"schema {name!r}: this word has a meaning in SQL; choose another name")
    if name.startswith("pg_") or name == "information_schema":
        raise DefinitionError(f"schema {name!r}: PostgreSQL reserves this name for itself; choose another name")
