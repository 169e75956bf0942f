"""Logging in to a namespace by its name, with a credential: one for all ends, and closed after them (pitfall 12)."""

import gc
import logging
import time
from typing import Self

import pytest
from azure.core.credentials import AccessToken
from azure.servicebus.aio import ServiceBusClient

from coremachine.runtime.bus.servicebus import ServiceBusTransport
from coremachine.runtime.bus.servicebus.namespace import QUIET, Namespace
from tests.integration.servicebus.test_pitfalls import messages, received_ids, send_anew
from tests.servicebus.brokers import Broker

PLAIN = False
"""The broker of the tests speaks no TLS."""


class Credential:
    """A credential as azure-identity has them: it counts what it is asked for, and tells when it is closed."""

    def __init__(self, closed: list[str]) -> None:
        self.scopes: list[str] = []
        self._closed = closed

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """A token for an hour."""
        assert "credential" not in self._closed
        self.scopes += scopes
        return AccessToken("token", int(time.time()) + 3600)

    async def close(self) -> None:
        """Let go of it."""
        self._closed.append("credential")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def test_pitfall_12_one_credential_serves_every_end_of_a_namespace_and_is_closed_last(
    broker: Broker, queue: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="azure")
    closed: list[str] = []
    made: list[Credential] = []

    def default() -> Credential:
        made.append(Credential(closed))
        return made[-1]

    async def close(client: ServiceBusClient) -> None:
        await really(client)
        closed.append("client")

    really = ServiceBusClient.close
    monkeypatch.setattr(ServiceBusClient, "close", close)
    monkeypatch.setattr("azure.identity.aio.DefaultAzureCredential", default)
    monkeypatch.setitem(QUIET, "use_tls", PLAIN)
    transport = ServiceBusTransport(Namespace(broker.address))
    sender, receiver = transport.sender(queue), transport.receiver(queue)
    await sender.send(messages(1))
    assert await received_ids(receiver, 1) == ["task:1-0:0:1"]
    broker.detach_links(queue)
    await send_anew(sender, messages(1, send_number=2))
    assert await received_ids(receiver, 1) == ["task:1-0:0:2"]
    for end in (sender, receiver, transport):
        await end.close()
    assert len(made) == 1
    assert set(made[0].scopes) == {"https://servicebus.azure.net//.default"}
    assert closed == [*["client"] * (len(closed) - 1), "credential"]
    assert len(closed) >= 3
    gc.collect()
