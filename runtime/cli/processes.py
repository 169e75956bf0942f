"""Several worker processes: started together, stopped together, not restarted."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

import structlog

from ..worker.parent_watch import ParentWatch

log = structlog.get_logger("coremachine.cli")
INTERRUPTED = 128 + signal.SIGINT
GRACEFUL = {0, INTERRUPTED, -signal.SIGINT, -signal.SIGTERM}


async def run_processes(number: int, arguments: Sequence[str], url: str | None) -> int:
    """Run `number` processes of this command line with `arguments` until all have ended.

    Signals are passed on. Returns the exit code: 0, 130 after Ctrl-C, or 1 if a process failed.
    """
    children = [await _start(arguments, url) for _ in range(number)]
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def pass_on(signal_number: int) -> None:
        received.append(signal_number)
        for child in children:
            if child.returncode is None:
                child.send_signal(signal_number)

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, pass_on, one)
    codes = await asyncio.gather(*(_exit_code(child, received) for child in children))
    good = GRACEFUL if received else {0}
    if any(code not in good for code in codes):
        return 1
    return INTERRUPTED if signal.SIGINT in received else 0


async def _start(arguments: Sequence[str], url: str | None) -> asyncio.subprocess.Process:
    """Start one worker.

    It runs in its own session, so that Ctrl-C reaches it once, through us. Its standard input ends with us, so
    that it never outlives us.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "coremachine",
        *arguments,
        env={**os.environ, **ParentWatch.environment(url)},
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def _exit_code(child: asyncio.subprocess.Process, received: Sequence[int]) -> int:
    code = await child.wait()
    if code != 0 and not received:
        log.error("a worker process failed; the others continue", pid=child.pid, code=code)
    return code
