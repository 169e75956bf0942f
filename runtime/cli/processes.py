"""Several worker processes: started together, told to stop together, none restarted."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import structlog

log = structlog.get_logger("coremachine.cli")
LEASH_VARIABLE = "COREMACHINE_LEASH"
URL_VARIABLE = "COREMACHINE_LEASH_URL"
INTERRUPTED = 128 + signal.SIGINT
GRACEFUL = {0, INTERRUPTED, -signal.SIGINT, -signal.SIGTERM}


@dataclass(frozen=True)
class Leash:
    """What ties a worker process to the one that started it: its standard input, which ends with that one."""

    tied: bool = False
    url: str | None = None

    @classmethod
    def taken(cls) -> Self:
        """This process's leash, taken out of the environment so that no process started by a handler inherits it."""
        return cls(os.environ.pop(LEASH_VARIABLE, None) is not None, os.environ.pop(URL_VARIABLE, None))

    @staticmethod
    def worn() -> bool:
        """Whether this process has a leash that it has not yet taken: the one that started it speaks for it."""
        return LEASH_VARIABLE in os.environ

    @contextmanager
    def held(self, let_go: Callable[[], None]) -> Generator[None]:
        """Call `let_go` on the loop if the other process ends within the block."""
        if not self.tied:
            yield
            return
        loop = asyncio.get_running_loop()
        end = sys.stdin.fileno()

        def ended() -> None:
            loop.remove_reader(end)
            let_go()

        loop.add_reader(end, ended)
        try:
            yield
        finally:
            loop.remove_reader(end)


async def run_processes(number: int, arguments: Sequence[str], url: str | None) -> int:
    """Run `number` processes of this command line with `arguments` until all have ended.

    Signals are passed on. Returns the exit code: 0, 130 after Ctrl-C, or 1 where a process failed.
    """
    children = [await _start(arguments, url) for _ in range(number)]
    loop = asyncio.get_running_loop()
    heard: list[int] = []

    def pass_on(signal_number: int) -> None:
        heard.append(signal_number)
        for child in children:
            if child.returncode is None:
                child.send_signal(signal_number)

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, pass_on, one)
    codes = await asyncio.gather(*(_awaited(child, heard) for child in children))
    good = GRACEFUL if heard else {0}
    if any(code not in good for code in codes):
        return 1
    return INTERRUPTED if signal.SIGINT in heard else 0


async def _start(arguments: Sequence[str], url: str | None) -> asyncio.subprocess.Process:
    """Start one worker.

    A URL travels in its environment, for its password must not stand in the list of processes. It runs in a session
    of its own, so that Ctrl-C reaches it once, through us; and its standard input ends with us, so that it never
    outlives us.
    """
    environment = {**os.environ, LEASH_VARIABLE: "1", **({URL_VARIABLE: url} if url else {})}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "coremachine",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def _awaited(child: asyncio.subprocess.Process, heard: Sequence[int]) -> int:
    code = await child.wait()
    if code != 0 and not heard:
        log.error("a worker process failed; the others go on", pid=child.pid, code=code)
    return code
