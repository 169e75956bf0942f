"""`coremachine worker`: run jobs until told to stop."""

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

from ..app import AsyncCoreMachine
from ..worker.garbage_collector import ease_collector
from ..worker.worker import Worker
from .logs import Level, configure_logs
from .options import AppName, BusOption, DataDir, SchemaName, Url, Where, application, jobs_declared
from .processes import Leash, run_processes

log = structlog.get_logger("coremachine.cli")
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
THREADS_MAY_TAKE = 0.5
HANDLER_THREADS = "handler-"


def worker(  # noqa: PLR0913 - one parameter for each option
    *,
    app: AppName = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, help="Handlers that run at once (env COREMACHINE_CONCURRENCY)."),
    ] = None,
    processes: Annotated[int, typer.Option("--processes", min=1, help="Worker processes; none is restarted.")] = 1,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End once no declared job is open.")] = False,
    log_level: Annotated[Level, typer.Option("--log-level", help="What is logged to standard error.")] = "info",
    bus: BusOption = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Run the declared jobs. SIGTERM and Ctrl-C end it gracefully, and a second one at once.

    What has not finished by then is released, and goes on elsewhere.
    """
    configure_logs(log_level)
    leash = Leash.taken()
    where = Where(url or leash.url, schema, data_dir)
    declared = jobs_declared(app)
    asked = application(declared, where, concurrency=concurrency, bus=bus)
    if processes > 1:
        said = {"--app": app, "--schema": schema, "--data-dir": data_dir, "--concurrency": concurrency, "--bus": bus}
        again = [part for name, value in said.items() if value is not None for part in (name, str(value))]
        flags = ["--log-level", log_level, *(["--until-idle"] if until_idle else [])]
        raise typer.Exit(asyncio.run(run_processes(processes, ["worker", *again, *flags], url)))
    code = asyncio.run(_work(asked, leash, until_idle=until_idle))
    _end_process_if_stuck(code)
    raise typer.Exit(code)


async def _work(app: AsyncCoreMachine, leash: Leash, *, until_idle: bool) -> int:
    """Run a worker, and return the exit code: 130 after Ctrl-C, else 0."""
    async with app:
        running = app.worker()
        ease_collector(app.bus)
        with _stopped_by_signals(running) as heard, leash.held(lambda: _let_go(running)):
            log.info(
                "worker started",
                worker=running.name,
                pid=os.getpid(),
                jobs=list(app.jobs),
                concurrency=app.settings.concurrency,
            )
            await running.run(until_idle=until_idle)
        log.info("worker stopped", worker=running.name)
    return 128 + signal.SIGINT if signal.SIGINT in heard else 0


@contextmanager
def _stopped_by_signals(running: Worker) -> Generator[list[int]]:
    """End the worker gracefully at the first signal, the process at the second. Yields the signals heard."""
    loop = asyncio.get_running_loop()
    heard: list[int] = []

    def hear(number: int) -> None:
        if heard:
            log.warning("worker ends at once", worker=running.name)
            _end_process(128 + number)
        heard.append(number)
        log.info("worker stops", worker=running.name, signal=signal.Signals(number).name)
        running.stop()

    for number in STOPPING_SIGNALS:
        loop.add_signal_handler(number, hear, number)
    try:
        yield heard
    finally:
        for number in STOPPING_SIGNALS:
            loop.remove_signal_handler(number)


def _let_go(running: Worker) -> None:
    log.warning("worker stops: its parent is gone", worker=running.name)
    running.stop()


def _end_process_if_stuck(code: int) -> None:
    """End the process where a handler's thread does not: nothing else would."""
    deadline = time.monotonic() + THREADS_MAY_TAKE
    for thread in threading.enumerate():
        if thread.name.startswith(HANDLER_THREADS):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning(
                    "a handler still runs and ends with the process; its task was released or had timed out",
                    thread=thread.name,
                )
                _end_process(code)


def _end_process(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
