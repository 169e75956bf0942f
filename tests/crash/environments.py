"""Where trials run: a PostgreSQL, in which each has its own database, and a broker with its own queues."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

import psycopg
from psycopg import sql

from coremachine import AsyncCoreMachine
from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.settings import Settings
from tests.crash.amqp_proxy import BrokerProxy
from tests.crash.crashing_job import SETTINGS
from tests.crash.proxy import Proxy
from tests.databases import url_of
from tests.servicebus.brokers import BrokerProcess, RemoteBroker

Bus = Literal["postgres", "servicebus"]
Wire = Literal["database", "bus"]
LOCK = 1.0
QUEUES = ("coremachine-jobs", "coremachine-tasks")


@dataclass(frozen=True, slots=True)
class TrialEnvironment:
    """Databases are cloned from `template` on `server`. Without a `broker` messages go over PostgreSQL.

    `wire` is the connection on which points are counted: from the worker to the database, or to the broker.
    """

    template: str
    server: str
    broker: RemoteBroker | None = None
    wire: Wire = "database"

    def settings(self) -> Settings:
        """The settings of a new trial, whose queues have been created."""
        if self.broker is None:
            return SETTINGS
        prefix = f"crash-{uuid4().hex[:12]}-"
        for queue in QUEUES:
            self.broker.create_queue(prefix + queue, requires_duplicate_detection=True, lock_duration=LOCK)
        more = {
            "bus": "servicebus",
            "servicebus": self.broker.connection_string,
            "queue_prefix": prefix,
            "relay_lease": 1.5,
            "resend": 3.0,
        }
        return SETTINGS.model_copy(update=more)

    def proxy(self, url: str) -> Proxy:
        """The proxy on the wire on which points are counted."""
        return BrokerProxy(self.broker) if self.broker is not None and self.wire == "bus" else Proxy(url)

    def through(self, proxy: Proxy, url: str, settings: Settings) -> tuple[str, Settings]:
        """The URL and the settings of a worker that connects through the proxy."""
        if self.broker is not None and self.wire == "bus":
            return url, settings.model_copy(update={"servicebus": proxy.url})
        return proxy.url, settings

    @asynccontextmanager
    async def cloned(self) -> AsyncGenerator[str]:
        """The URL of a database for one trial."""
        name = f"crash_{uuid4().hex[:12]}"
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(self.template))
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        async with await psycopg.AsyncConnection[object].connect(self.server, autocommit=True) as owner:
            await owner.execute(make)
            try:
                yield url_of(self.server, name)
            finally:
                await owner.execute(drop)


@contextmanager
def trial_environment(bus: Bus, wire: Wire) -> Generator[TrialEnvironment]:
    """The environment of the program, during the block."""
    makes_broker = BrokerProcess if bus == "servicebus" else nullcontext[None]
    with _server() as server, _template(server) as template, makes_broker() as broker:
        yield TrialEnvironment(template, server, broker, wire)


@contextmanager
def _server() -> Generator[str]:
    if given := os.environ.get("COREMACHINE_TEST_DSN"):
        yield given
        return
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - made by mkdtemp there
    with tempfile.TemporaryDirectory(prefix="coremachine-crash-", dir=memory) as place:
        Path(place).chmod(0o755)
        embedded = EmbeddedServer.open(Path(place) / "data")
        try:
            yield embedded.url
        finally:
            embedded.stop()


@contextmanager
def _template(server: str) -> Generator[str]:
    name = f"crash_template_{uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            asyncio.run(_install(url_of(server, name)))
            yield name
        finally:
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _install(url: str) -> None:
    async with AsyncCoreMachine(url, install=True, settings=SETTINGS):
        return
