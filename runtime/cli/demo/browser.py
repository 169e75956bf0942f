"""The demo in a browser: the pages are served while the job runs, and until Ctrl-C."""

import asyncio
from collections.abc import Callable

import typer

from ...app import AsyncCoreMachine
from ...flow.submit import Submission
from ..job_view import JobView, load_job
from ..progress import live_progress, watch_job

LOOPBACK = "127.0.0.1"
ReportEnd = Callable[[Submission, JobView, str], None]
"""Prints how a job ended: its submission, the job, its timeline."""


async def serve_demo(app: AsyncCoreMachine, submission: Submission, port: int, report_end: ReportEnd) -> JobView:
    """Serve the pages, run the job, report how it ended, and continue until Ctrl-C. Returns the job as it is then.

    The worker continues too, so that a job that is resumed from its page runs.
    """
    from ...web import Access, create_site
    from ...web.serving import serve

    def ready(url: str, _: object) -> None:
        typer.echo(f"Watch it here, and press Ctrl-C to end:  {url}/jobs/{submission.id}")

    worker = app.worker()
    working = asyncio.create_task(worker.run())
    serving = asyncio.create_task(serve(create_site(app, Access()), LOOPBACK, port, ready))
    try:
        with live_progress() as show:
            watching = asyncio.create_task(watch_job(app, submission.id, show))
            await asyncio.wait({working, serving, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            report_end(submission, await watching, await app.timeline(submission.id))
        watching.cancel()
        await asyncio.wait({working, serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        worker.stop()
        await working
    await serving
    return await load_job(app, submission.id)
