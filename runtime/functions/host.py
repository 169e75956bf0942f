"""What a function app calls: handle a message, and look after what no message brings.

A worker runs in the background of the process, fed with what the host brings. The host settles a message when its
function returns, so after the handler; a pull worker settles it before. Both are right: the row decides, and a copy of
a message claims nothing.
"""

import asyncio

import azure.functions as func

from ...statemachine.errors import OperationError
from ..app import AsyncCoreMachine
from ..bus.externally_polled import ExternallyPolledBus
from ..bus.messages import ReceivedMessage, is_check
from ..bus.port import DeadLetteredMessage
from ..bus.settlement import Abandon, Complete, DeadLetter, Settlement
from ..logs import logger
from ..reconciler import Reconciler
from ..relay import DeadLetterReader
from ..worker.broker_loops import BrokerLoops
from ..worker.worker import Worker

log = logger("functions")


class AbandonedError(OperationError):
    """Raised so that the host abandons a message, which is then delivered again. Carries `message_id` and `reason`."""

    def __init__(self, message_id: str, reason: str) -> None:
        self.message_id = message_id
        self.reason = reason
        super().__init__(f"message {message_id} is given back: {reason}")


class FunctionsHost:
    """A CoreMachine for the functions of one process. It opens at its first use.

    `app` is an AsyncCoreMachine with a broker for its bus.
    """

    def __init__(self, app: AsyncCoreMachine) -> None:
        self.app = app
        self._opening = asyncio.Lock()
        self._pushed: ExternallyPolledBus | None = None
        self._worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None

    async def handle(self, message: func.ServiceBusMessage, queue: str) -> Settlement:
        """Handle one message to the end of what it led to. When this returns, the message may be completed.

        Raises AbandonedError where it is to be delivered again. A message that nobody could handle is told on its
        job's timeline, or in the log, and then completed: a function cannot dead-letter it.
        """
        return await self.handle_received(received_of(message, queue))

    async def handle_received(self, received: ReceivedMessage) -> Settlement:
        """The same for a message that was received elsewhere."""
        if is_check(received):
            return Complete("a check of the queue")
        pushed, worker = await self._opened()
        settlement = await pushed.push(received)
        match settlement:
            case Abandon(reason):
                raise AbandonedError(received.message_id, reason)
            case DeadLetter(reason, description):
                await self._record(DeadLetteredMessage(received, reason, description))
            case Complete(_, lease) if lease is not None:
                # Not cancelled with the function: the work is under a lease, and continues to its own end.
                await asyncio.shield(worker.lease_ended(lease))
            case _:
                pass
        return settlement

    async def maintain(self) -> dict[str, int]:
        """What a timer does: send what is to be sent, rescue what waits in vain. Returns how much of each.

        Needed where no worker runs all the time, for a process of the host may sleep between two messages.
        """
        await self._opened()
        posting = BrokerLoops(self.app.database, self.app.bus, self.app.settings)
        found = await Reconciler(self.app.database, self.app.bus, self.name, self.app.settings).run_once()
        return {**found, "messages_sent": await posting.run_once()}

    async def close(self) -> None:
        """Stop the worker, which gives back what has not finished, and close the application."""
        worker, self._worker, self._pushed = self._worker, None, None
        if worker is not None and self._running is not None:
            worker.stop()
            await self._running
            await self.app.close()

    @property
    def name(self) -> str:
        """Who finds what waits in vain."""
        return self._worker.name if self._worker is not None else "functions"

    async def _opened(self) -> tuple[ExternallyPolledBus, Worker]:
        async with self._opening:
            if self._running is not None and self._running.done():
                log.error("the worker has ended and is started again", error=repr(self._running.exception()))
                self._pushed = None
            if self._pushed is None or self._worker is None:
                if self._worker is None:
                    await self.app.open()
                return self._started()
            return self._pushed, self._worker

    def _started(self) -> tuple[ExternallyPolledBus, Worker]:
        app = self.app
        self._pushed = pushed = ExternallyPolledBus(app.bus)
        self._worker = worker = Worker(
            app.database, pushed, tuple(app.jobs.values()), app.settings, {"records": app.records}
        )
        self._running = asyncio.get_running_loop().create_task(worker.run())
        return pushed, worker

    async def _record(self, message: DeadLetteredMessage) -> None:
        transport = self.app.bus.transport
        if transport is not None:
            await DeadLetterReader(self.app.database, transport.dead_letters(message.received.queue)).record([message])


def received_of(message: func.ServiceBusMessage, queue: str) -> ReceivedMessage:
    """A message of the host. The host counts deliveries from 1, we count those before this one."""
    return ReceivedMessage(
        message_id=message.message_id or "",
        body=message.get_body(),
        delivery_count=max(0, (message.delivery_count or 1) - 1),
        queue=queue,
        properties=dict(message.application_properties or {}),
        locked_until=None,
    )
