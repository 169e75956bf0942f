"""An end: one sender or receiver of the SDK with its own connection, created again after every error.

The SDK's ends must not be shared between tasks, and are not reliable after an error: a half-open link goes silent,
and a receiver that was detached may never deliver again. So after any error the end is dropped, and the next call
creates another.

A link that the network has forgotten raises no error (pitfall 2). So one on which the broker has answered nothing for a
while is probed: it is sent a request that must be answered.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from ...errors import BrokerError
from .errors import RAISED, broker_error
from .namespace import Namespace

H = TypeVar("H", bound=ServiceBusSender | ServiceBusReceiver)
T = TypeVar("T")
CONNECTING = 20.0
PROBE_SECONDS = 5.0
"""How long a probe waits for its answer."""


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
        self._answered = 0.0

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
            limit = CONNECTING
            try:
                async with asyncio.timeout(limit):
                    handle = await self._opened()
                limit = seconds
                async with asyncio.timeout(limit):
                    return await action(handle)
            except TimeoutError as error:
                self.drop()
                raise BrokerError(self.what, f"no answer within {limit:g} s") from error
            except RAISED as error:
                self.drop()
                raise broker_error(self.what, error) from error
            except BaseException:
                self.drop()
                raise

    def answered(self) -> None:
        """Record that the broker has answered, or delivered something."""
        self._answered = monotonic()

    async def probe(self, silence: float, ask: Callable[[H], Awaitable[object]]) -> None:
        """Send a request if the broker has not answered for `silence` seconds. Raises BrokerError if it fails."""
        if self._handle is None or monotonic() - self._answered < silence:
            return
        try:
            await self.call(PROBE_SECONDS, ask)
        except BrokerError as error:
            raise BrokerError(self.what, f"the line is silent: {error.reason}", lasting=error.lasting) from error
        self.answered()

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
            self.answered()
        return self._handle


async def _nothing(_: object) -> None:
    """The action for an end that is only to be opened."""


async def _open(handle: ServiceBusSender | ServiceBusReceiver) -> None:
    await handle.__aenter__()
