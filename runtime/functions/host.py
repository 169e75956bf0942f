"""What a function app calls: handle a message, and do the periodic maintenance.

A worker runs in the background of the process and receives the messages that the host delivers. The host settles a
message when its function returns, which is after the handler; a pull worker settles it before. Both are correct: the
row decides, and a copy of a message claims nothing.
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
    """Makes the host abandon a message, which is then delivered again. Carries `message_id` and `reason`."""

    def __init__(self, message_id: str, reason: str) -> None:
        self.message_id = message_id
        self.reason = reason
        super().__init__(f"message {message_id} is abandoned and will be delivered again: {reason}")


class FunctionsHost:
    """A CoreMachine for the functions of one process. It opens when it is first used.

    `app` is an AsyncCoreMachine whose bus is a broker.
    """

    def __init__(self, app: AsyncCoreMachine) -> None:
        self.app = app
        self._opening = asyncio.Lock()
        self._bus: ExternallyPolledBus | None = None
        self._worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None

    async def handle(self, message: func.ServiceBusMessage, queue: str) -> Settlement:
        """Handle one message, and wait until the work that it started has ended. Then the message can be completed.

        Raises AbandonedError if the message must be delivered again. A message that cannot be handled is recorded on
        the timeline of its job, or in the log, and then completed: a function cannot dead-letter it.
        """
        return await self.handle_received(received_message(message, queue))

    async def handle_received(self, received: ReceivedMessage) -> Settlement:
        """Handle a message that has been converted by `received_message`."""
        if is_check(received):
            return Complete("a check of the queue")
        bus, worker = await self._open()
        settlement = await bus.push(received)
        match settlement:
            case Abandon(reason):
                raise AbandonedError(received.message_id, reason)
            case DeadLetter(reason, description):
                await self._record_dead_letter(DeadLetteredMessage(received, reason, description))
            case Complete(_, lease) if lease is not None:
                # Not cancelled with the function: the work has a lease, and continues to its end.
                await asyncio.shield(worker.lease_ended(lease))
            case _:
                pass
        return settlement

    async def maintain(self) -> dict[str, int]:
        """What a timer calls: send due messages, and recover stuck work. Returns how many of each.

        It is needed if no worker runs all the time, as the host may suspend its process between two messages.
        """
        await self._open()
        broker_loops = BrokerLoops(self.app.database, self.app.bus, self.app.settings)
        found = await Reconciler(self.app.database, self.app.bus, self.name, self.app.settings).run_once()
        return {**found, "messages_sent": await broker_loops.run_once()}

    async def close(self) -> None:
        """Stop the worker, which releases unfinished tasks, and close the application."""
        worker, self._worker, self._bus = self._worker, None, None
        if worker is not None and self._running is not None:
            worker.stop()
            await self._running
            await self.app.close()

    @property
    def name(self) -> str:
        """The name under which this process recovers stuck work."""
        return self._worker.name if self._worker is not None else "functions"

    async def _open(self) -> tuple[ExternallyPolledBus, Worker]:
        async with self._opening:
            if self._running is not None and self._running.done():
                log.error("the worker has ended and is started again", error=repr(self._running.exception()))
                self._bus = None
            if self._bus is None or self._worker is None:
                if self._worker is None:
                    await self.app.open()
                return self._start()
            return self._bus, self._worker

    def _start(self) -> tuple[ExternallyPolledBus, Worker]:
        app = self.app
        self._bus = bus = ExternallyPolledBus(app.bus)
        self._worker = worker = Worker(
            app.database, bus, tuple(app.jobs.values()), app.settings, {"records": app.records}
        )
        self._running = asyncio.get_running_loop().create_task(worker.run())
        return bus, worker

    async def _record_dead_letter(self, message: DeadLetteredMessage) -> None:
        transport = self.app.bus.transport
        if transport is not None:
            queue = message.received.queue
            await DeadLetterReader(self.app.database, transport.dead_letters(queue), queue).record([message])


def received_message(message: func.ServiceBusMessage, queue: str) -> ReceivedMessage:
    """Convert a message of the host. The host counts deliveries from 1; here earlier deliveries are counted."""
    return ReceivedMessage(
        message_id=message.message_id or "",
        body=message.get_body(),
        delivery_count=max(0, (message.delivery_count or 1) - 1),
        queue=queue,
        properties=dict(message.application_properties or {}),
        locked_until=None,
    )
