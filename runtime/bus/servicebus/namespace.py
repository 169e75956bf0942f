"""A Service Bus namespace, and the login to it."""

import asyncio
import re
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.aio.management import ServiceBusAdministrationClient

from ...errors import BrokerError
from ...logs import logger
from .errors import RAISED

DOMAIN = ".servicebus.windows.net"
TRY_TIMEOUT = 5.0
CLOSING = 5.0
log = logger("servicebus")
QUIET: dict[str, Any] = {"retry_total": 1, "retry_backoff_factor": 0.1, "retry_backoff_max": 1.0}
"""The SDK retries once by itself; our loops decide on further retries, and on the log level."""
EMULATED = re.compile(r"\bUseDevelopmentEmulator=true\b", re.IGNORECASE)
CONNECTION_STRING = re.compile(r"\bEndpoint=sb://([^;/]+)", re.IGNORECASE)


class Namespace:
    """The location of the queues: a connection string, or the name of a namespace with Entra ID.

    The credential is created once, at its first use, and kept as long as the namespace.
    """

    def __init__(self, given: str, credential: AsyncTokenCredential | None = None) -> None:
        found = CONNECTION_STRING.search(given)
        self._connection_string = given if found else None
        self.host = found.group(1) if found else _host(given)
        self._credential = credential
        self._ours = credential is None
        self._closing: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, given: str | None) -> "Namespace":
        """The namespace that the setting names. Raises BrokerError if it is empty."""
        if given is None:
            reason = "no namespace is configured: set COREMACHINE_SERVICEBUS to its name, or to a connection string"
            raise BrokerError("Service Bus", reason, lasting=True)
        return cls(given)

    def client(self) -> ServiceBusClient:
        """A separate client for one sender or receiver, with its own connection."""
        if self._connection_string is not None:
            return ServiceBusClient.from_connection_string(self._connection_string, try_timeout=TRY_TIMEOUT, **QUIET)
        return ServiceBusClient(self.host, self._token_credential(), try_timeout=TRY_TIMEOUT, **QUIET)

    def administration(self) -> ServiceBusAdministrationClient | None:
        """A client of the administration API, which the caller closes; None for an emulator."""
        if self._connection_string is None:
            return ServiceBusAdministrationClient(self.host, self._token_credential(), retry_total=0)
        if EMULATED.search(self._connection_string):
            return None
        return ServiceBusAdministrationClient.from_connection_string(self._connection_string, retry_total=0)

    def let_go(self, client: ServiceBusClient, opening: asyncio.Future[Any] | None) -> None:
        """Close a client in the background, once it is open: it takes a second, and longer if its link is silent."""
        closing = asyncio.get_running_loop().create_task(_close(client, opening))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Wait until the clients are closed, then close the credential, which they may still use."""
        while self._closing:
            await asyncio.wait(self._closing)
        credential, self._credential = self._credential, None
        if credential is not None and self._ours:
            await credential.close()

    def _token_credential(self) -> AsyncTokenCredential:
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential

            self._credential = DefaultAzureCredential()
        return self._credential


async def _close(client: ServiceBusClient, opening: asyncio.Future[Any] | None) -> None:
    try:
        async with asyncio.timeout(CLOSING):
            if opening is not None:
                await asyncio.gather(opening, return_exceptions=True)
            await client.close()
    except RAISED as error:
        log.debug("a connection could not be closed", error=repr(error))


def _host(given: str) -> str:
    bare = given.removeprefix("sb://").rstrip("/")
    return bare if "." in bare or ":" in bare else bare + DOMAIN
