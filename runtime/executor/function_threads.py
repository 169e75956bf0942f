"""Daemon threads for sync functions: a function that never returns must not keep its worker from ending."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from .errors import HandlerError

Work = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class FunctionThreads:
    """At most `most` threads, started as they are needed and reused."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)

    async def run(self, function: Callable[[], Any]) -> Any:
        """Call `function` in a thread and return its result, or raise its error."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.put((function, future, loop))
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=f"handler-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return await future

    def close(self) -> None:
        """Let idle threads end. Busy ones end with their handler, or with the process."""
        for _ in self._threads:
            self._queue.put(None)
        self._threads.clear()

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            function, future, loop = work
            try:
                result, error = function(), None
            except BaseException as failure:  # noqa: BLE001 - passed to the caller that waits for the future
                result, error = None, failure
            del function, work
            try:
                loop.call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return
            self._idle.release()


def _settle(future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration) or not isinstance(error, Exception):
        # no future holds StopIteration; SystemExit and KeyboardInterrupt would end the loop, CancelledError its task
        future.set_exception(HandlerError.of(error))
    else:
        future.set_exception(error)
