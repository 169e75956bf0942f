"""The site of a test: called directly, as if from an address, or served on its own port."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from socket import AF_INET, IPPROTO_TCP, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket

import httpx
from fastapi import FastAPI

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.web import Access, create_site
from coremachine.runtime.web.access.policy import Token
from coremachine.runtime.web.serving import SiteServer

HERE = "127.0.0.1"
VIEWER, OPERATOR = "a-viewer-of-long-standing", "an-operator-of-long-standing"
TOKENS = Access(tokens=(Token("vera", "viewer", VIEWER), Token("otto", "operator", OPERATOR)))


def client(site: FastAPI, *, peer: str = HERE, base: str = "http://localhost", **headers: str) -> httpx.AsyncClient:
    """A client of the site with the address `peer`."""
    transport = httpx.ASGITransport(site, client=(peer, 50_000), raise_app_exceptions=False)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.AsyncClient(transport=transport, base_url=base, headers=named)


def with_token(machine: AsyncCoreMachine, secret: str) -> httpx.AsyncClient:
    """A client with a token, on another machine."""
    return client(create_site(machine, TOKENS), peer="203.0.113.7", authorization=f"Bearer {secret}")


class QuietServer(SiteServer):
    """A server that does not handle signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the test run."""
        yield


@asynccontextmanager
async def served(site: FastAPI, port: int = 0) -> AsyncGenerator[str]:
    """Serve the site while the block runs; yields its URL."""
    site.state.closing.clear()
    listening = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
    listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    listening.bind((HERE, port))
    server = QuietServer(site)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield f"http://{HERE}:{listening.getsockname()[1]}"
    finally:
        server.stop()
        await running
        listening.close()
