"""Which bus an application uses."""

from collections.abc import Iterable
from typing import Literal

from ...statemachine.errors import OperationError
from ...statemachine.job import Job
from ..bus.broker import BrokerBus, lanes_of
from ..bus.port import Bus, Transport
from ..bus.postgres import PostgresBus
from ..settings import Settings
from ..store.database import Database

BusName = Literal["postgres", "servicebus"]


class MissingExtraError(OperationError):
    """Something was asked for that needs an extra which is not installed. Carries `extra` and `missing`."""

    def __init__(self, extra: str, missing: str) -> None:
        self.extra = extra
        self.missing = missing
        super().__init__(f"{missing} is not installed; run pip install 'coremachine[{extra}]'")


def bus_of(database: Database, settings: Settings, jobs: Iterable[Job], asked: BusName | Transport | None) -> Bus:
    """The bus that was asked for, else that of the settings. Connects to nothing.

    Raises MissingExtraError, and BrokerError where settings lack what the bus needs.
    """
    wanted = settings.bus if asked is None else asked
    if wanted == "postgres":
        return PostgresBus(database)
    lanes = lanes_of(jobs, settings.job_queue, settings.task_queue, settings.queue_prefix)
    if isinstance(wanted, str):
        return BrokerBus(wanted, database, _service_bus(settings), lanes, settings.poll)
    return BrokerBus("broker", database, wanted, lanes, settings.poll)


def _service_bus(settings: Settings) -> Transport:
    try:
        from ..bus.servicebus import ServiceBusTransport
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"azure", "aiohttp"}:
            raise
        raise MissingExtraError("azure", str(error.name)) from error
    return ServiceBusTransport.of(settings.servicebus)
