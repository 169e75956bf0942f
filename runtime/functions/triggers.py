"""The functions of a function app: one trigger for each queue, and a timer."""

from collections.abc import Awaitable, Callable

import azure.functions as func

from ..bus.broker import routes_of
from .host import FunctionsHost

EVERY_30_SECONDS = "*/30 * * * * *"


def register(
    app: func.FunctionApp, host: FunctionsHost, *, connection: str, schedule: str = EVERY_30_SECONDS
) -> func.FunctionApp:
    """Add to `app` a trigger for each queue that the host's jobs need, and a timer that relays and reconciles.

    `connection` is the name of the app setting with the connection to Service Bus; `schedule` is a cron expression with
    seconds.
    """
    settings = host.app.settings
    for route in routes_of(host.app.jobs.values(), settings.job_queue, settings.task_queue, settings.queue_prefix):
        name = f"coremachine_{route.queue}".replace("-", "_").replace("/", "_")
        handle = _handler(host, route.queue)
        trigger = app.service_bus_queue_trigger(arg_name="message", queue_name=route.queue, connection=connection)
        app.function_name(name)(trigger(handle))
    timer = app.timer_trigger(arg_name="timer", schedule=schedule)
    app.function_name("coremachine_maintain")(timer(_maintainer(host)))
    return app


def _handler(host: FunctionsHost, queue: str) -> Callable[[func.ServiceBusMessage], Awaitable[None]]:
    async def handle(message: func.ServiceBusMessage) -> None:
        await host.handle(message, queue)

    return handle


def _maintainer(host: FunctionsHost) -> Callable[[func.TimerRequest], Awaitable[None]]:
    async def maintain(timer: func.TimerRequest) -> None:
        _ = timer
        await host.maintain()

    return maintain
