"""The bus of an application."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Literal

from ...statemachine.errors import OperationError
from ...statemachine.job import Job
from ...statemachine.records import Schema
from ..bus.broker import BrokerBus, routes_of
from ..bus.channel import Channel
from ..bus.port import Bus, Transport
from ..bus.postgres import PostgresBus
from ..settings import Settings
from ..store.database import Database
from ..store.entra import EntraPassword

BusName = Literal["postgres", "servicebus"]


class MissingExtraError(OperationError):
    """A feature needs an extra that is not installed. Carries `extra` and `missing`."""

    def __init__(self, extra: str, missing: str) -> None:
        self.extra = extra
        self.missing = missing
        super().__init__(f"{missing} is not installed; run pip install 'coremachine[{extra}]'")


def bus_of(database: Database, settings: Settings, jobs: Iterable[Job], transport: Transport | None) -> Bus:
    """The bus that the settings name, or that of the given transport. Does not connect."""
    routes = routes_of(jobs, settings.job_queue, settings.task_queue, settings.queue_prefix)
    channel = Channel(database, listen=settings.listen)
    if transport is not None:
        return BrokerBus("broker", channel, lambda: transport, routes, settings.poll)
    if settings.bus == "servicebus":
        return BrokerBus(settings.bus, channel, partial(service_bus, settings), routes, settings.poll)
    return PostgresBus(channel)


def database_of(url: str, settings: Settings, records: Schema) -> Database:
    """The database at `url`, as configured in the settings. Does not connect. Raises MissingExtraError."""
    return Database(
        url,
        schema=settings.db_schema,
        pool_size=settings.pool_size,
        records=records,
        password=password_of(settings),
        direct_url=settings.direct_url,
        pooler=settings.pooler,
    )


def service_bus(settings: Settings) -> Transport:
    """Azure Service Bus, as configured in the settings.

    Raises MissingExtraError, and BrokerError if no namespace is configured.
    """
    with extra_needed("azure", "azure", "aiohttp"):
        from ..bus.servicebus import ServiceBusTransport
    return ServiceBusTransport.of(settings.servicebus, settings.lease)


def password_of(settings: Settings) -> Callable[[], str] | None:
    """Provides the password of each new database connection; None if the URL has it. Raises MissingExtraError."""
    if settings.db_auth == "password":
        return None
    with extra_needed("azure", "azure"):
        return EntraPassword()


@contextmanager
def extra_needed(extra: str, *packages: str) -> Generator[None]:
    """Raise MissingExtraError if one of these packages cannot be imported in the block."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in packages:
            raise
        raise MissingExtraError(extra, str(error.name)) from error
