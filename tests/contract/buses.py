"""The buses that the contract is asked of, each with what the test needs of it beside the port."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from coremachine import Job
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.messages import OutgoingMessage
from coremachine.runtime.bus.port import Sender

OpenOnBus = Callable[..., Awaitable[AsyncCoreMachine]]


@dataclass(frozen=True)
class BusUnderTest:
    """A bus by its name, and how an application is opened on it: `open_app(job, …, setting=…)`."""

    name: str
    open_app: OpenOnBus
    jobs: tuple[Job, ...] = ()

    async def repeat(self, app: AsyncCoreMachine, messages: list[OutgoingMessage]) -> None:
        """Send copies of messages, as a broker may deliver them again; a bus with no messages has none to copy."""
        if app.bus.transport is not None:
            for message in messages:
                queue = next(route.queue for route in app.bus.routes if message.ref.kind in route.types)
                sender: Sender = app.bus.transport.sender(queue)
                await sender.send([message])
                await sender.close()
