"""Async handlers on the worker's event loop: an exception of one must not end the loop or the other handlers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .errors import HandlerError


async def awaited(function: Callable[..., Awaitable[Any]], given: Mapping[str, object]) -> Any:
    """Call an async function and return its result, or raise its error.

    SystemExit and GeneratorExit become a HandlerError, and so does a CancelledError that the function raised by itself,
    for example from its own asyncio task: taken for the worker's, it would release the task, which would run for ever.
    """
    try:
        return await function(**given)
    except asyncio.CancelledError as error:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise HandlerError.of(error) from error
    except (SystemExit, GeneratorExit) as error:
        raise HandlerError.of(error) from error
