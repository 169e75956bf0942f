"""`coremachine bus`: whether a broker can be used, and what has to be created in it."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..app.buses import extra_needed
from ..bus.broker import routes_of
from ..bus.port import QueueRoute
from ..bus.template import bicep, emulator_config
from ..settings import Settings
from .declared import Declared
from .options import AppName, AsJson, Where, application, jobs_declared
from .terminal import show_json

if TYPE_CHECKING:
    from ..bus.servicebus.check import Checked

WORDS = {"ok": "ok", "hurts": "HURTS", "unknown": "unknown", "refused": "REFUSED"}
bus = typer.Typer(no_args_is_help=True, help="The broker that carries messages: Azure Service Bus.")


@bus.command()
def check(*, app: AppName = None, as_json: AsJson = False) -> None:
    """Try every queue that the declared jobs need: send, receive, settle, read dead letters; ask for its settings.

    One harmless message is sent twice to each. The namespace is that of COREMACHINE_SERVICEBUS. Exits 1 where something
    is refused, or a setting would hurt.
    """
    declared = jobs_declared(app)
    settings = _settings(declared)
    checked = asyncio.run(_check(settings, _routes(declared, settings)))
    if as_json:
        show_json([asdict(one) for one in checked])
    else:
        for one in checked:
            typer.echo(f"{WORDS[one.status]:<8} {one.queue}  {one.what}  {one.seconds:.2f} s")
            if one.detail:
                typer.echo(f"{'':<8} {one.detail}")
    if not all(one.fine for one in checked):
        raise typer.Exit(1)


@bus.command()
def template(
    *,
    app: AppName = None,
    to: Annotated[
        Literal["bicep", "emulator"], typer.Option("--to", help="For Azure, or for the official emulator.")
    ] = "bicep",
) -> None:
    """Print what creates the queues that the declared jobs need: Bicep, or the emulator's Config.json."""
    declared = jobs_declared(app)
    routes = _routes(declared, _settings(declared))
    typer.echo((bicep if to == "bicep" else emulator_config)(routes).rstrip())


def _settings(declared: Declared) -> Settings:
    return application(declared, Where()).settings


def _routes(declared: Declared, settings: Settings) -> tuple[QueueRoute, ...]:
    jobs = declared.app.jobs.values() if declared.app is not None else declared.jobs
    return routes_of(jobs, settings.job_queue, settings.task_queue, settings.queue_prefix)


async def _check(settings: Settings, routes: tuple[QueueRoute, ...]) -> "list[Checked]":
    with extra_needed("azure", "azure", "aiohttp"):
        from ..bus.servicebus.check import check_queue
        from ..bus.servicebus.namespace import Namespace

    namespace = Namespace.of(settings.servicebus)
    try:
        return [one for route in routes for one in await check_queue(namespace, route.queue)]
    finally:
        await namespace.close()
