"""`coremachine bus`: whether a broker can be used, and which queues to create in it."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...app.buses import extra_needed
from ...bus.broker import routes_of
from ...bus.port import QueueRoute
from ...bus.template import bicep, emulator_config
from ...settings import Settings
from ..app_loader import Declarations
from ..options import AppName, AsJson, DatabaseOptions, application, load_required
from ..terminal import show_json

if TYPE_CHECKING:
    from ...bus.servicebus.check import Checked

LABELS = {"ok": "ok", "hurts": "HURTS", "unknown": "unknown", "refused": "REFUSED"}
bus = typer.Typer(no_args_is_help=True, help="The broker that carries messages: Azure Service Bus.")


@bus.command()
def check(*, app: AppName = None, as_json: AsJson = False) -> None:
    """Test every queue that the declared jobs need: send, receive, settle, read dead letters and settings.

    One harmless message is sent twice to each, in the namespace of COREMACHINE_SERVICEBUS. Exits with 1 if something is
    refused, or if a setting does harm.
    """
    declarations = load_required(app)
    settings = _settings(declarations)
    checked = asyncio.run(_check(settings, _routes(declarations, settings)))
    if as_json:
        show_json([asdict(one) for one in checked])
    else:
        for one in checked:
            typer.echo(f"{LABELS[one.status]:<8} {one.queue}  {one.what}  {one.seconds:.2f} s")
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
    """Print a template that creates the queues of the declared jobs: Bicep, or the emulator's Config.json."""
    declarations = load_required(app)
    routes = _routes(declarations, _settings(declarations))
    typer.echo((bicep if to == "bicep" else emulator_config)(routes).rstrip())


def _settings(declarations: Declarations) -> Settings:
    return application(declarations, DatabaseOptions()).settings


def _routes(declarations: Declarations, settings: Settings) -> tuple[QueueRoute, ...]:
    jobs = declarations.app.jobs.values() if declarations.app is not None else declarations.jobs
    return routes_of(jobs, settings.job_queue, settings.task_queue, settings.queue_prefix)


async def _check(settings: Settings, routes: tuple[QueueRoute, ...]) -> "list[Checked]":
    with extra_needed("azure", "azure", "aiohttp"):
        from ...bus.servicebus.check import check_queue
        from ...bus.servicebus.namespace import Namespace

    namespace = Namespace.of(settings.servicebus)
    try:
        return [one for route in routes for one in await check_queue(namespace, route.queue)]
    finally:
        await namespace.close()
