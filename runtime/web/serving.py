"""Serves the site with uvicorn until it is stopped."""

import asyncio
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from ...statemachine.errors import OperationError
from .access.policy import Access

SHUTDOWN_SECONDS = 2
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AddressError(OperationError):
    """The server cannot listen on the address. Carries `host`, `port` and `reason`."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        self.reason = reason
        super().__init__(f"cannot listen on {host}:{port}: {reason}; choose another address with --host and --port")


class SiteServer(uvicorn.Server):
    """An HTTP server for the site that ends its event streams when it stops."""

    def __init__(self, site: FastAPI) -> None:
        self._site = site
        self.received: list[int] = []
        super().__init__(
            uvicorn.Config(
                site,
                log_config=None,
                access_log=False,
                lifespan="on",
                # AccessMiddleware decides which proxies are trusted
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )

    def stop(self) -> None:
        """Shut down gracefully: streams end at once, other requests are completed."""
        self._site.state.closing.set()
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle SIGINT and SIGTERM while the block runs.

        uvicorn's own version raises them again, which ends the process before the database connections are closed.
        """
        loop = asyncio.get_running_loop()
        try:
            for number in SIGNALS:
                loop.add_signal_handler(number, self._on_signal, number)
        except (NotImplementedError, RuntimeError, ValueError):
            # not the main thread, or Windows: the caller stops the server
            yield
            return
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        self.received.append(number)
        self.stop()


async def serve(site: FastAPI, host: str, port: int, ready: Callable[[str, SiteServer], None]) -> Sequence[int]:
    """Serve `site` until SIGINT, SIGTERM or `SiteServer.stop`, and return the signals received.

    `ready` is called with the URL and the server. Port 0 picks a free port. Raises AddressError, and OpenAddressError
    for an address other than loopback without authentication.
    """
    access: Access = site.state.access
    access.check_address(host)
    listener = _bind(host, port)
    server = SiteServer(site)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    started = asyncio.create_task(_until_started(server))
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    if started.done():
        ready(_url(listener), server)
    started.cancel()
    await running
    return server.received


async def _until_started(server: uvicorn.Server) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise AddressError(host, port, error.strerror or str(error)) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
