"""Reads what was dead-lettered, and tells of each on the timeline of its job. What belongs to no job is counted."""

import asyncio
from collections.abc import Sequence

import psycopg
from psycopg_pool import PoolTimeout

from ...statemachine.retry import Backoff
from ..bus.letter import UnreadableMessageError, read_hint
from ..bus.port import DeadLetters, DeadMessage
from ..errors import BrokerError
from ..logs import logger
from ..store.database import Database
from ..store.session import Note
from ..store.text import cleaned

log = logger("dead_letters")
AT_ONCE = 20
SHOWN = 200


class DeadLetterReader:
    """Reads one queue's dead letters until cancelled. `orphans` counts those that belonged to no job.

    One is removed from the broker only when its event is committed. The row it spoke of is none the worse: where it
    still waits, its message is sent again.
    """

    def __init__(self, database: Database, reader: DeadLetters, wait: float = 30.0) -> None:
        self._database = database
        self._reader = reader
        self._wait = wait
        self._backoff = Backoff(first=1, most=60)
        self.orphans = 0

    async def run(self) -> None:
        """Read until cancelled."""
        failures = 0
        try:
            while True:
                try:
                    dead = await self._reader.receive(AT_ONCE, self._wait)
                    if dead:
                        await self.tell(dead)
                        await self._reader.remove(dead)
                    failures = 0
                except (psycopg.Error, PoolTimeout, BrokerError) as error:
                    failures += 1
                    if failures == 1:
                        log.warning("dead letters cannot be read; trying again", error=str(error).strip())
                    await asyncio.sleep(self._backoff.delay(failures))
        finally:
            await self._reader.close()

    async def tell(self, dead: Sequence[DeadMessage]) -> None:
        """Write each on its job's timeline, once; count and log what belongs to no job."""
        of_jobs = [(message, job_id) for message in dead if (job_id := _job_of(message)) is not None]
        async with self._database.transaction() as session:
            job_ids = sorted({job_id for _, job_id in of_jobs})
            known = {row["job_id"] for row in await session.fetch("jobs_that_exist", {"job_ids": job_ids})}
            asked = {"job_ids": job_ids, "message_ids": [message.envelope.message_id for message in dead]}
            rows = await session.fetch("told_dead_letters", asked)
            told = {(row["job_id"], row["message_id"]) for row in rows}
            fresh = [
                (message, job_id)
                for message, job_id in of_jobs
                if job_id in known and (job_id, message.envelope.message_id) not in told
            ]
            await session.note(_note(message, job_id) for message, job_id in fresh)
        owned = {id(message) for message, job_id in of_jobs if job_id in known}
        for message in dead:
            if id(message) not in owned:
                self.orphans += 1
                log.error("a dead letter of no job", **_data(message))


def _job_of(message: DeadMessage) -> str | None:
    try:
        return read_hint(message.envelope).job_id
    except UnreadableMessageError:
        return None


def _note(message: DeadMessage, job_id: str) -> Note:
    return Note(type="message_dead_lettered", job_id=job_id, data=_data(message))


def _data(message: DeadMessage) -> dict[str, object]:
    return {
        "reason": cleaned(message.reason, SHOWN),
        "description": cleaned(message.description),
        "message_id": cleaned(message.envelope.message_id, SHOWN),
        "queue": message.envelope.queue,
        "delivery_count": message.envelope.delivery_count,
        "body": cleaned(message.envelope.body[:SHOWN].decode("utf-8", "replace"), SHOWN),
    }
