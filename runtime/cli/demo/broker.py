"""The broker of a demo over Service Bus: the configured namespace, or the tests' own broker in a source checkout."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import typer

from ...app.buses import BusName
from ...settings import Settings
from ..errors import InputError

ROOT = Path(__file__).resolve().parents[3]
STOP_SECONDS = 10.0


@contextmanager
def demo_broker(bus: BusName | None) -> Generator[str | None]:
    """The connection string of a test broker, as long as the block lasts; None if the demo needs none.

    Raises InputError if it needs one that cannot be started.
    """
    settings = Settings()
    if (bus or settings.bus) != "servicebus" or settings.servicebus is not None:
        yield None
        return
    if not (ROOT / "tests" / "servicebus" / "__main__.py").exists():
        remedy = "set COREMACHINE_SERVICEBUS to a namespace or a connection string"
        raise InputError("the demo", f"the test broker exists only in a source checkout, and this is not one; {remedy}")
    names = [f"{settings.queue_prefix}{queue}" for queue in (settings.job_queue, settings.task_queue)]
    queues = [word for name in names for word in ("--queue", name)]
    with _started([sys.executable, "-m", "tests.servicebus", *queues]) as connection:
        typer.echo("Messages travel by the Azure Service Bus SDK to a test broker on this machine.")
        yield connection


@contextmanager
def _started(command: list[str]) -> Generator[str]:
    """A broker process, which ends when its standard input does: with this process or with the block.

    Ctrl-C in a terminal goes to a whole process group: the broker is in another, as the worker needs it to the end.
    """
    pipe = subprocess.PIPE
    broker = subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, start_new_session=True
    )
    try:
        first_line = broker.stdout.readline().strip() if broker.stdout else ""
        if not first_line.startswith("Endpoint="):
            printed = f"{' '.join(command)} printed {first_line!r}"
            raise InputError("the demo", f"the test broker did not start: {printed}")
        yield first_line
    finally:
        broker.communicate(timeout=STOP_SECONDS)
