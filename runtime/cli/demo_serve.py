"""The demo in a browser: the pages are served while the job runs, and until Ctrl-C."""

import asyncio
from collections.abc import Callable

import typer

from ..app import AsyncCoreMachine
from ..flow.submit import Submission
from ..store.session import Row
from .progress import progress_shown, watch

LOOPBACK = "127.0.0.1"
Tell = Callable[[Submission, Row, str], None]


async def serve_demo(app: AsyncCoreMachine, made: Submission, port: int, tell: Tell) -> Row:
    """Serve the pages, run the job, `tell` how it ended, and go on until Ctrl-C. Returns the job as it is then.

    The worker goes on as well, so that a job that is resumed from its page runs.
    """
    from ..web import Access, create_site
    from ..web.serving import serve

    def ready(url: str, _: object) -> None:
        typer.echo(f"Watch it here, and press Ctrl-C to end:  {url}/jobs/{made.id}")

    worker = app.worker()
    working = asyncio.create_task(worker.run())
    serving = asyncio.create_task(serve(create_site(app, Access()), LOOPBACK, port, ready))
    try:
        with progress_shown() as show:
            watching = asyncio.create_task(watch(app, made.id, show))
            await asyncio.wait({working, serving, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            tell(made, await watching, await app.timeline(made.id))
        watching.cancel()
        await asyncio.wait({working, serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        worker.stop()
        await working
    await serving
    return await app.job(made.id)
