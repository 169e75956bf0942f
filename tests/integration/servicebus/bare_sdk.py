"""What the SDK does by itself: processes that send in batches, receive, complete, and do nothing else."""

import asyncio
import multiprocessing
import time
from multiprocessing.synchronize import Barrier

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

BODY = b"x" * 200
BATCH = 100
COMPLETED_AT_ONCE = 20
LONGEST = 600.0
SPAWN = multiprocessing.get_context("spawn")


def bare_rate(connection: str, queues: list[str], number: int) -> float:
    """Messages a second of one process for each queue, `number` messages in all."""
    each = -(-number // len(queues))
    begins, ends = SPAWN.Barrier(len(queues) + 1, timeout=LONGEST), SPAWN.Barrier(len(queues) + 1, timeout=LONGEST)
    started = [
        SPAWN.Process(target=_run, args=(connection, queue, each, begins, ends), daemon=True) for queue in queues
    ]
    for process in started:
        process.start()
    begins.wait()
    began = time.monotonic()
    ends.wait()
    seconds = time.monotonic() - began
    for process in started:
        process.join()
    return each * len(queues) / seconds


def _run(connection: str, queue: str, number: int, begins: Barrier, ends: Barrier) -> None:
    """The program of a process. Connecting, and closing, which takes a second, are not counted."""
    asyncio.run(_measured(connection, queue, number, begins, ends))


async def _measured(connection: str, queue: str, number: int, begins: Barrier, ends: Barrier) -> None:
    async with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_sender(queue) as sender,
        client.get_queue_receiver(queue, prefetch_count=0) as receiver,
    ):
        begins.wait()
        await _send(sender, number)
        await _receive(receiver, number)
        ends.wait()


async def _send(sender: ServiceBusSender, number: int) -> None:
    for first in range(0, number, BATCH):
        batch = await sender.create_message_batch()
        for index in range(first, min(first + BATCH, number)):
            batch.add_message(ServiceBusMessage(BODY, message_id=str(index)))
        await sender.send_messages(batch)


async def _receive(receiver: ServiceBusReceiver, left: int) -> None:
    """In batches, completing as many at once as was found to be the fastest (one after another takes longer)."""
    while left:
        received = await receiver.receive_messages(max_message_count=min(BATCH, left), max_wait_time=5.0)
        for first in range(0, len(received), COMPLETED_AT_ONCE):
            some = received[first : first + COMPLETED_AT_ONCE]
            await asyncio.gather(*(receiver.complete_message(message) for message in some))
        left -= len(received)
