"""What is set for each connection, or, through a pooler, for each transaction."""

from typing import Final

from .connection import STATEMENT_SECONDS

NETWORK_LIMITS: Final = {
    # a network that drops packets without a reset is noticed after about ten seconds, by idle sessions too
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
CLIENT_ENCODING: Final = "UTF8"
FORMATS: Final = {
    # what an administrator may set for a database or a login, and psycopg or a statement depends on (F53)
    "array_nulls": "on",
    "bytea_output": "hex",
    "DateStyle": "ISO, MDY",
    "default_transaction_isolation": "read committed",
    "extra_float_digits": "1",
    "IntervalStyle": "postgres",
    "quote_all_identifiers": "off",
    "search_path": "pg_catalog",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
}
CONNECTION_SETTINGS: Final = FORMATS | {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": "60s",
    # statements are brief; with stale statistics the planner may expect otherwise, and compile for a second
    "jit": "off",
    # a plan that was cached while a table was empty would scan it when it has grown (F42)
    "enable_seqscan": "off",
}
