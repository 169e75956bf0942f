"""A worker process that stops when the process that started it ends."""

import asyncio
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

PARENT_WATCH_VARIABLE = "COREMACHINE_PARENT_WATCH"
URL_VARIABLE = "COREMACHINE_PARENT_URL"


@dataclass(frozen=True)
class ParentWatch:
    """Whether to watch the parent process, and the URL that it passed on.

    The parent holds the other end of this process's standard input, which therefore ends with it.
    """

    enabled: bool = False
    url: str | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """Read it, and remove it from the environment so that no process started by a handler inherits it."""
        return cls(os.environ.pop(PARENT_WATCH_VARIABLE, None) is not None, os.environ.pop(URL_VARIABLE, None))

    @staticmethod
    def environment(url: str | None) -> dict[str, str]:
        """The variables that enable it in a child process. A password in `url` stays out of the list of processes."""
        return {PARENT_WATCH_VARIABLE: "1", **({URL_VARIABLE: url} if url else {})}

    @staticmethod
    def is_requested() -> bool:
        """Whether another worker process started this one, and `from_environment` has not been called yet."""
        return PARENT_WATCH_VARIABLE in os.environ

    @contextmanager
    def active(self, on_parent_end: Callable[[], None]) -> Generator[None]:
        """Call `on_parent_end` on the event loop if the parent ends within the block."""
        if not self.enabled:
            yield
            return
        loop = asyncio.get_running_loop()
        stdin = sys.stdin.fileno()

        def ended() -> None:
            loop.remove_reader(stdin)
            on_parent_end()

        loop.add_reader(stdin, ended)
        try:
            yield
        finally:
            loop.remove_reader(stdin)
