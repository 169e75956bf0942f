"""The frame of a soak or a storm: a PostgreSQL server and folders for one session, removed at its end."""

import asyncio
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from .figures import Figures
from .server import Server


@dataclass(frozen=True, slots=True)
class SessionContext:
    """A server, and folders for the side effects of handlers and for logs."""

    server: Server
    side_effects: Path
    logs: Path


def run_session(
    name: str, keep: Path | None, figures: Figures, session: Callable[[SessionContext], Awaitable[None]]
) -> None:
    """Run `session` with a server in a temporary directory; its folders are in `keep` if that is given.

    An error of the session itself is a violation in `figures`. SIGTERM raises KeyboardInterrupt.
    """
    root = Path(tempfile.mkdtemp(prefix=f"cm-{name}-")).resolve()
    root.chmod(0o755)  # PostgreSQL may run as another account, with its own directory in here
    try:
        asyncio.run(_run(root, (keep or root).resolve(), session))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except Exception as error:  # noqa: BLE001 - the figures so far are reported, with this failure among them
        figures.add_violation(f"the {name} itself failed: {error}", log=tuple(traceback.format_exception(error)))
    finally:
        shutil.rmtree(root, ignore_errors=True)


async def _run(root: Path, kept: Path, session: Callable[[SessionContext], Awaitable[None]]) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    side_effects, logs = kept / "effects", kept / "logs"
    for folder in (side_effects, logs):
        folder.mkdir(parents=True, exist_ok=True)
    server = await asyncio.to_thread(Server, root / "data")
    try:
        await session(SessionContext(server, side_effects, logs))
    finally:
        await asyncio.to_thread(server.stop)
        shutil.copyfile(server.log, logs / "postgresql.log")


def print_progress(line: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
