"""SIGTERM for workers in an event loop."""

import asyncio
import signal


async def wait() -> None:
    """Wait until this process receives SIGTERM, so that running tasks can end."""
    received = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, received.set)
    await received.wait()
