"""A time limit on answers, for a connection whose network may drop packets without a reset."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg


@contextmanager
def answer_within(connection: psycopg.AsyncConnection[Any], seconds: float) -> Generator[None]:
    """Shut the connection down if the block takes longer. Then the block raises OperationalError."""
    late = asyncio.Event()
    timer = asyncio.get_running_loop().call_later(seconds, _shut_down, connection, late)
    try:
        yield
    except psycopg.OperationalError:
        if late.is_set():
            raise psycopg.OperationalError(f"no answer from the server within {seconds:g} s") from None
        raise
    finally:
        timer.cancel()


def _shut_down(connection: psycopg.AsyncConnection[Any], late: asyncio.Event) -> None:
    """Not by cancelling: psycopg would then wait for the server to confirm that it has cancelled the statement."""
    late.set()
    with suppress(OSError, psycopg.Error), socket.socket(fileno=socket.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
