"""`coremachine serve`: the pages and the HTTP interface."""

import asyncio
import signal
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from ...app import AsyncCoreMachine
from ..app_loader import load
from ..errors import InputError
from ..logs import Level, configure_logs
from ..options import AppName, DatabaseOptions, DataDir, SchemaName, Url, application

EXTRA = ("fastapi", "jinja2", "prometheus_client", "uvicorn")

Host = Annotated[str, typer.Option("--host", help="Address to listen on; any but loopback requires authentication.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port to listen on; 0 takes any free one.")]


def serve(  # noqa: PLR0913 - one parameter for each option
    *,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    log_level: Annotated[Level, typer.Option("--log-level", help="Level of the log on standard error.")] = "warning",
    app: AppName = None,
    url: Url = None,
    schema: SchemaName = None,
    data_dir: DataDir = None,
) -> None:
    """Serve the pages and the HTTP interface, until SIGTERM or Ctrl-C.

    On 127.0.0.1, every user of this machine is an operator. Any other address requires tokens (COREMACHINE_WEB_TOKENS)
    or a trusted proxy (COREMACHINE_WEB_TRUSTED_PROXIES). With --app, the jobs declared there can be submitted.
    """
    configure_logs(log_level)
    require_web()
    received = asyncio.run(_serve(application(load(app), DatabaseOptions(url, schema, data_dir)), host, port))
    if signal.SIGINT in received:
        raise typer.Exit(128 + signal.SIGINT)


async def _serve(core: AsyncCoreMachine, host: str, port: int) -> Sequence[int]:
    from ...web import Access, create_site
    from ...web.serving import serve as serve_site

    access = Access.of(core.settings)
    # before the database is touched: a server that must not start does nothing else either
    access.check_address(host)
    async with core:
        site = create_site(core, access)
        return await serve_site(site, host, port, lambda url, _: typer.echo(f"Serving on {url}"))


def require_web() -> None:
    """Raise InputError if a package that the pages need is not installed."""
    for name in EXTRA:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise InputError("the pages", f"{name} is not installed; run pip install 'coremachine[web]'") from error
