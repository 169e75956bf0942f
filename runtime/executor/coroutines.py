"""Async handlers on the worker's own loop: what one of them raises must end neither the loop nor its neighbours."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .errors import HandlerError


async def awaited(function: Callable[..., Awaitable[Any]], given: Mapping[str, object]) -> Any:
    """Call an async function and return what it returns, or raise what it raises.

    SystemExit and GeneratorExit become a HandlerError, and so does a CancelledError that the function raised by itself,
    of a task of its own for instance: taken for the worker's, its task would be released and run again for ever.
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
