"""Where a peer keeps its work: in a new database on the server, or in an empty Redis with a given durability."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

WRITTEN = """
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
       (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables)
"""
UNLOGGED = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u'"
OTHER_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True, slots=True)
class Written:
    """What has been written so far: bytes of write-ahead log on the server, row versions in one database."""

    wal_bytes: int
    rows: int


@contextmanager
def database(url: str) -> Generator[str]:
    """A new database on the server, as a URL that every peer can read. It is dropped after the block."""
    name = f"peer_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield as_url(url, name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def as_url(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    password = f":{quote(parts['password'], safe='')}" if "password" in parts else ""
    login = f"{quote(parts.get('user', 'postgres'), safe='')}{password}@"
    host, port = parts.get("host", "localhost"), parts.get("port", "5432")
    if host.startswith("/"):
        return f"postgresql://{login}/{name}?{urlencode({'host': host, 'port': port})}"
    return f"postgresql://{login}{host}:{port}/{name}"


def written(url: str) -> Written:
    """Read the counters. Those of a process are complete once it has disconnected; see `all_disconnected`."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(WRITTEN).fetchone()
    return Written(*row) if row else Written(0, 0)


def all_disconnected(url: str) -> bool:
    """Whether there are no other connections, so that the counters are complete."""
    return _number(url, OTHER_CONNECTIONS) == 0


def unlogged(url: str) -> int:
    """The number of tables of the peer that a crash of the server would empty."""
    return _number(url, UNLOGGED)


def _number(url: str, query: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def empty_redis(url: str, appendfsync: str) -> Generator[None]:
    """Set `appendfsync` of this Redis during the block; afterwards restore it, and empty the database."""
    import redis

    client = redis.Redis.from_url(url)
    before = client.config_get("appendfsync")["appendfsync"]
    client.config_set("appendfsync", appendfsync)
    try:
        yield
    finally:
        client.flushdb()
        client.config_set("appendfsync", before)


def about_redis(url: str) -> dict[str, str]:
    """The version and the settings. Exits if Redis is not durable, or if its database is not empty."""
    import redis

    client = redis.Redis.from_url(url)
    settings: dict[str, str] = {name: client.config_get(name)[name] for name in ("appendonly", "save")}
    if settings["appendonly"] != "yes":
        message = "this Redis is not durable: appendonly is off; set it to yes and run the benchmark again"
        raise SystemExit(message)
    if client.dbsize():
        message = "this Redis database is not empty, and the benchmark empties it after each run; choose another"
        raise SystemExit(message)
    return {"redis": str(client.info("server")["redis_version"]), **settings}
