"""`coremachine demo`: a real job on real data, from submission to its timeline."""

import asyncio
import logging
from importlib import import_module
from pathlib import Path
from typing import Annotated, cast

import typer

from ....statemachine.job import Job
from ....statemachine.lifecycles import JOB
from ...app import AsyncCoreMachine
from ...flow.submit import Submission
from ..app_loader import Declarations
from ..demo import messages
from ..demo.broker import demo_broker
from ..demo.browser import serve_demo
from ..errors import InputError
from ..job_view import JobView, load_job
from ..options import BusOption, DatabaseOptions, DataDir, Key, SchemaName, Url, application
from ..progress import live_progress, watch_job
from ..terminal import show_timeline
from .serve import require_web

MODULE = "coremachine.examples.process_raster"
EXTRA = {"numpy", "PIL"}
FAILING_WINDOW = 4


def demo(  # noqa: PLR0913 - one parameter for each option
    *,
    fail: Annotated[
        bool,
        typer.Option("--fail", help="Make one window fail, to show what a failure looks like. Still exits with 0."),
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Also show the job in a browser, until Ctrl-C; prints the URL.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port for --serve; 0 takes any free one.")] = 0,
    key: Key = None,
    bus: BusOption = None,
    output: Annotated[Path, typer.Option("--output", help="File for the picture.")] = Path("hillshade.png"),
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Run a real job: the hillshade of an elevation model, in windows that are shaded in parallel.

    It shows the progress of each stage, then the timeline, the picture and its statistics. Running the demo again finds
    the same job and does not run it; use --key to run it again. With --fail one window fails on purpose, and the exit
    code is 0 if it did. With --bus servicebus the messages travel over Azure Service Bus, by its SDK: to the namespace
    in COREMACHINE_SERVICEBUS, or without one, in a source checkout, to the test broker.
    """
    job, raster = _example()
    database = DatabaseOptions(url, schema, data_dir)
    parameters = {"raster": str(raster), "output": str(output.resolve())}

    def report_end(submission: Submission, ended: JobView, timeline: str) -> None:
        if JOB.by_name[submission.status].terminal:
            typer.echo(messages.already_ended(fail=fail))
        show_timeline(f"\n{timeline}")
        typer.echo(messages.ended(ended, database, fail=fail))

    async def run(core: AsyncCoreMachine) -> JobView:
        async with core:
            failing = {"fail_window": FAILING_WINDOW} if fail else {}
            submission = await core.submit(job, key, None, **parameters, **failing)
            if serve:
                return await serve_demo(core, submission, port, report_end)
            ended = await _run(core, submission)
            report_end(submission, ended, await core.timeline(submission.id))
            return ended

    if serve:
        require_web()
    # the timeline shows what fails, and log lines would break the progress bars
    logging.getLogger("coremachine.flow").setLevel(logging.CRITICAL)
    with demo_broker(bus) as connection:
        ended = asyncio.run(run(application(Declarations((job,)), database, bus=bus, servicebus=connection)))
    if ended.state.failure != fail:
        raise typer.Exit(1)


async def _run(core: AsyncCoreMachine, submission: Submission) -> JobView:
    """Work in this process until the job has ended, and show its progress. A job that has ended is not touched."""
    if JOB.by_name[submission.status].terminal:
        return await load_job(core, submission.id)
    worker = core.worker()
    working = asyncio.create_task(worker.run())
    with live_progress() as show:
        watching = asyncio.create_task(watch_job(core, submission.id, show))
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # also after Ctrl-C: running tasks are then released, and the next demo continues with them
            worker.stop()
            await working
            if not watching.done():
                watching.cancel()
    return await watching


def _example() -> tuple[Job, Path]:
    """The job and its elevation model. Raises InputError if a package that it needs is not installed."""
    try:
        module = import_module(MODULE)
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        remedy = "run pip install 'coremachine[demo]'"
        raise InputError(
            "the demo", f"it needs numpy and pillow, and {error.name} is not installed; {remedy}"
        ) from error
    return cast("Job", module.process_raster), cast("Path", module.DEM)
