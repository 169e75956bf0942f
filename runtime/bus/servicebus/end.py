"""An end: one sender or receiver of the SDK with its own connection, created again after every error.

The SDK's ends must not be shared between tasks, and are not reliable after an error: a half-open link goes silent,
and a receiver that was detached may never deliver again. So after any error the end is dropped, and the next call
creates another.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from .errors import RAISED, broker_error
from .namespace import Namespace

H = TypeVar("H", bound=ServiceBusSender | ServiceBusReceiver)
T = TypeVar("T")
CONNECTING = 20.0


class End(Generic[H]):
    """`make` creates the sender or receiver of a client. Calls wait for one another."""

    def __init__(self, namespace: Namespace, what: str, make: Callable[[ServiceBusClient], H]) -> None:
        self.what = what
        self._namespace = namespace
        self._make = make
        self._client: ServiceBusClient | None = None
        self._handle: H | None = None
        self._opening: asyncio.Future[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def handle(self) -> H | None:
        """The open sender or receiver, or None."""
        return self._handle

    async def open(self) -> None:
        """Connect, if it has not. Raises BrokerError."""
        await self.call(CONNECTING, _nothing)

    async def call(self, seconds: float, action: Callable[[H], Awaitable[T]]) -> T:
        """Run `action` on an open end, for at most `seconds` once it is open. Raises BrokerError."""
        # Concurrent first calls on one of the SDK's ends each send everything, and most of it twice (pitfall 8).
        async with self._turn:
            try:
                async with asyncio.timeout(CONNECTING):
                    handle = await self._opened()
                async with asyncio.timeout(seconds):
                    return await action(handle)
            except RAISED as error:
                self.drop()
                raise broker_error(self.what, error) from error
            except BaseException:
                self.drop()
                raise

    def drop(self) -> None:
        """Close the connection without waiting: a silent one may take long to close."""
        client, self._client, self._handle = self._client, None, None
        if client is not None:
            self._namespace.let_go(client, self._opening)

    async def _opened(self) -> H:
        if self._handle is None:
            self._client = self._namespace.client()
            handle = self._make(self._client)
            # Shielded: an opening that is cancelled half-way leaves a socket that is never closed.
            opening = asyncio.ensure_future(_open(handle))
            self._opening = opening
            await asyncio.shield(opening)
            self._handle = handle
        return self._handle


async def _nothing(_: object) -> None:
    """The action for an end that is only to be opened."""


async def _open(handle: ServiceBusSender | ServiceBusReceiver) -> None:
    await handle.__aenter__()
