"""`coremachine worker`: run jobs until a signal stops it."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import structlog
import typer

from ...app import AsyncCoreMachine
from ...worker.garbage_collector import ease_collector
from ...worker.parent_watch import ParentWatch
from ...worker.worker import Worker
from ..logs import Level, configure_logs
from ..options import AppName, BusOption, DatabaseOptions, DataDir, SchemaName, Url, application, load_required
from ..processes import run_processes

log = structlog.get_logger("coremachine.cli")
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
THREAD_EXIT_SECONDS = 0.5
HANDLER_THREADS = "handler-"


def worker(  # noqa: PLR0913 - one parameter for each option
    *,
    app: AppName = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, help="Handlers that run at the same time (env COREMACHINE_CONCURRENCY)."),
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Worker processes. One that fails is not restarted.")
    ] = 1,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Exit when no declared job is open.")] = False,
    log_level: Annotated[Level, typer.Option("--log-level", help="Level of the log on standard error.")] = "info",
    bus: BusOption = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Run the declared jobs. SIGTERM or Ctrl-C stops it gracefully; a second signal ends it at once.

    Tasks that have not finished by then are released, and run on another worker.
    """
    configure_logs(log_level)
    parent = ParentWatch.from_environment()
    database = DatabaseOptions(url or parent.url, schema, data_dir)
    core = application(load_required(app), database, concurrency=concurrency, bus=bus)
    if processes > 1:
        options = {"--app": app, "--schema": schema, "--data-dir": data_dir, "--concurrency": concurrency, "--bus": bus}
        given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
        flags = ["--log-level", log_level, *(["--until-idle"] if until_idle else [])]
        raise typer.Exit(asyncio.run(run_processes(processes, ["worker", *given, *flags], url)))
    code = asyncio.run(_work(core, parent, until_idle=until_idle))
    _end_process_if_stuck(code)
    raise typer.Exit(code)


async def _work(core: AsyncCoreMachine, parent: ParentWatch, *, until_idle: bool) -> int:
    """Run a worker, and return the exit code: 130 after Ctrl-C, else 0."""
    async with core:
        running = core.worker()
        ease_collector(core.bus)
        with _stop_on_signals(running) as received, parent.active(lambda: _stop_without_parent(running)):
            log.info(
                "worker started",
                worker=running.name,
                pid=os.getpid(),
                jobs=list(core.jobs),
                concurrency=core.settings.concurrency,
            )
            await running.run(until_idle=until_idle)
        log.info("worker stopped", worker=running.name)
    return 128 + signal.SIGINT if signal.SIGINT in received else 0


@contextmanager
def _stop_on_signals(running: Worker) -> Generator[list[int]]:
    """Stop the worker gracefully at the first signal, end the process at the second. Yields the signals received."""
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def on_signal(number: int) -> None:
        if received:
            log.warning("worker ends at once", worker=running.name)
            _end_process(128 + number)
        received.append(number)
        log.info("worker is stopping", worker=running.name, signal=signal.Signals(number).name)
        running.stop()

    for number in STOPPING_SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield received
    finally:
        for number in STOPPING_SIGNALS:
            loop.remove_signal_handler(number)


def _stop_without_parent(running: Worker) -> None:
    log.warning("worker is stopping: the process that started it has ended", worker=running.name)
    running.stop()


def _end_process_if_stuck(code: int) -> None:
    """End the process if a handler's thread does not end: nothing else would."""
    deadline = time.monotonic() + THREAD_EXIT_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith(HANDLER_THREADS):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning(
                    "a handler is still running and ends with the process; its task was released or had timed out",
                    thread=thread.name,
                )
                _end_process(code)


def _end_process(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
