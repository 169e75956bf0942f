"""`coremachine demo`: a real job on real data, from submission to its timeline."""

import asyncio
import logging
from importlib import import_module
from pathlib import Path
from typing import Annotated, cast

import typer

from ...statemachine.job import Job
from ...statemachine.lifecycles import JOB
from ..app import AsyncCoreMachine
from ..flow.submit import Submission
from ..store.session import Row
from .declared import Declared
from .demo_broker import broker_wanted
from .demo_serve import serve_demo
from .demo_words import ended_words, found_words
from .errors import InputError
from .options import BusOption, DataDir, Key, SchemaName, Url, Where, application
from .progress import progress_shown, watch
from .serve import require_web
from .terminal import show_timeline

MODULE = "coremachine.examples.process_raster"
EXTRA = {"numpy", "PIL"}
FAILING_WINDOW = 4


def demo(  # noqa: PLR0913 - one parameter for each option
    *,
    fail: Annotated[
        bool,
        typer.Option("--fail", help="Make one window fail, to see what a failure looks like; exits 0 all the same."),
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show the job in a browser meanwhile, and until Ctrl-C; prints the URL.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port for --serve; 0 takes any free.")] = 0,
    key: Key = None,
    bus: BusOption = None,
    output: Annotated[Path, typer.Option("--output", help="The picture to write.")] = Path("hillshade.png"),
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Run a real job: the hillshade of an elevation model, in windows that are shaded in parallel.

    It shows the progress of each stage, then the timeline, the picture and its statistics. The same demo again is the
    same job, which is not run twice; a --key runs it anew. With --fail one window fails on purpose: a demo of failure
    that fails as it should exits 0. With --bus servicebus the messages take Azure Service Bus, by its SDK: the
    namespace that COREMACHINE_SERVICEBUS names, else, in a source checkout, the broker of the tests.
    """
    job, raster = _example()
    where = Where(url, schema, data_dir)
    parameters = {"raster": str(raster), "output": str(output.resolve())}

    def tell(made: Submission, ended: Row, told: str) -> None:
        if JOB.by_name[made.status].terminal:
            typer.echo(found_words(fail=fail))
        show_timeline(f"\n{told}")
        typer.echo(ended_words(ended, where, fail=fail))

    async def run(app: AsyncCoreMachine) -> Row:
        async with app:
            given = {**parameters, **({"fail_window": FAILING_WINDOW} if fail else {})}
            made = await app.submit(job, key, None, **given)
            if serve:
                return await serve_demo(app, made, port, tell)
            ended = await _run(app, made)
            tell(made, ended, await app.timeline(made.id))
            return ended

    if serve:
        require_web()
    # what fails is in the timeline that is shown, and a log would run through the bars of progress
    logging.getLogger("coremachine.flow").setLevel(logging.CRITICAL)
    with broker_wanted(bus) as connection:
        ended = asyncio.run(run(application(Declared((job,)), where, bus=bus, servicebus=connection)))
    if JOB.by_name[ended["status"]].failure != fail:
        raise typer.Exit(1)


async def _run(app: AsyncCoreMachine, made: Submission) -> Row:
    """Work in this process until the job has ended, showing how it goes on. A job that has ended is not touched."""
    if JOB.by_name[made.status].terminal:
        return await app.job(made.id)
    worker = app.worker()
    working = asyncio.create_task(worker.run())
    with progress_shown() as show:
        watching = asyncio.create_task(watch(app, made.id, show))
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # also where we are interrupted: what runs is then released, and the next demo goes on with it
            worker.stop()
            await working
            if not watching.done():
                watching.cancel()
    return await watching


def _example() -> tuple[Job, Path]:
    """The job and its elevation model. Raises InputError where what it needs is not installed."""
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
