"""How a worker in an event loop hears that it should stop."""

import asyncio
import signal


async def told() -> None:
    """Return when this process is sent SIGTERM, so that what is under way can be brought to its end."""
    heard = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.set)
    await heard.wait()
