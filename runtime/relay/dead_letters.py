"""Reads dead letters, and records each on the timeline of its job, or, if it has no job, for the audit."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256

import psycopg
from psycopg_pool import PoolTimeout

from ...statemachine.lifecycles import MESSAGE_DEAD_LETTERED
from ...statemachine.retry import Backoff
from ..bus.interruption import Interruption
from ..bus.messages import is_check, job_id_of_body
from ..bus.port import DeadLetteredMessage, DeadLetters
from ..errors import BrokerError
from ..logs import logger
from ..store.database import Database
from ..store.session import Note, Session
from ..store.set_aside import Unhandled, set_aside
from ..store.text import cleaned
from ..store.transient import is_transient

log = logger("dead_letters")
AT_ONCE = 20
BACKOFF = Backoff(first=1, most=60)
SHOWN = 200
KEPT = ("queue", "message_id", "digest", "reason", "description")


class DeadLetterReader:
    """Reads one queue's dead letters until cancelled. `orphans` counts those that belonged to no job.

    A dead letter is removed from the broker only after its record is committed. The row that it names is not
    affected: if it still waits, its message is sent again.
    """

    def __init__(self, database: Database, reader: DeadLetters, queue: str, wait: float = 30.0) -> None:
        self._database = database
        self._reader = reader
        self._wait = wait
        self._reading = Interruption(
            log, "dead letters cannot be read; trying again", "dead letters can be read again", queue=queue
        )
        self.orphans = 0

    async def run(self) -> None:
        """Read until cancelled."""
        unrecorded = 0
        try:
            while True:
                try:
                    dead = await self._reader.receive(AT_ONCE, self._wait)
                    recorded = await self._recorded(dead)
                    if recorded:
                        await self._reader.remove(recorded)
                    self._reading.succeeded()
                    unrecorded = unrecorded + 1 if len(recorded) < len(dead) else 0
                    if unrecorded:
                        await asyncio.sleep(BACKOFF.delay(unrecorded))  # a broker may deliver it again at once
                except (psycopg.Error, PoolTimeout, BrokerError) as error:
                    await asyncio.sleep(BACKOFF.delay(self._reading.failed(error)))
        finally:
            await self._reader.close()

    async def _recorded(self, dead: Sequence[DeadLetteredMessage]) -> Sequence[DeadLetteredMessage]:
        """Record them, one by one if that fails together; return those that may be removed.

        One that cannot be recorded stays on the broker, and is received again when the broker's lock on it expires.
        """
        if not dead:
            return ()
        try:
            await self.record(dead)
        except Exception as error:
            if is_transient(error):
                raise
            if len(dead) > 1:
                return [message for one in dead for message in await self._recorded([one])]
            message = dead[0]
            unhandled = Unhandled(repr(message.received.message_id), None, error)
            await set_aside(self._database, "read dead letter", [unhandled], message.received.queue)
            return ()
        return dead

    async def record(self, dead: Sequence[DeadLetteredMessage]) -> None:
        """Write each on its job's timeline, once; those without a job are kept for the audit, and logged."""
        named = [(message, job_id_of_body(message.received)) for message in dead if not is_check(message.received)]
        async with self._database.transaction() as session:
            job_ids = sorted({job_id for _, job_id in named if job_id is not None})
            known = {row["job_id"] for row in await session.fetch("relay/existing_jobs", {"job_ids": job_ids})}
            owned = [(message, job_id) for message, job_id in named if job_id is not None and job_id in known]
            orphans = [message for message, job_id in named if job_id not in known]
            await _record_for_jobs(session, owned)
            if orphans:
                await _keep(session, orphans)
        for message in orphans:
            self.orphans += 1
            log.error("a dead letter without a job", **_data(message))


async def _record_for_jobs(session: Session, owned: Sequence[tuple[DeadLetteredMessage, str]]) -> None:
    job_ids = sorted({job_id for _, job_id in owned})
    asked = {"job_ids": job_ids, "message_ids": [_message_id(message) for message, _ in owned]}
    recorded = {(row["job_id"], row["message_id"]) for row in await session.fetch("relay/recorded_dead_letters", asked)}
    fresh = {(job_id, _message_id(message)): message for message, job_id in reversed(owned)}
    await session.note(_note(message, at[0]) for at, message in fresh.items() if at not in recorded)


async def _keep(session: Session, orphans: Sequence[DeadLetteredMessage]) -> None:
    """Keep them while the audit reports them; one that is received twice is kept once."""
    kept = [{**_data(message), "digest": sha256(message.received.body).hexdigest()} for message in orphans]
    await session.run("relay/keep_dead_letters", {name: [one[name] for one in kept] for name in KEPT})


def _note(message: DeadLetteredMessage, job_id: str) -> Note:
    return Note(type=MESSAGE_DEAD_LETTERED, job_id=job_id, data=_data(message))


def _data(message: DeadLetteredMessage) -> dict[str, object]:
    return {
        "reason": cleaned(message.reason, SHOWN),
        "description": cleaned(message.description),
        "message_id": _message_id(message),
        "queue": message.received.queue,
        "delivery_count": message.received.delivery_count,
        "body": cleaned(message.received.body[:SHOWN].decode("utf-8", "replace"), SHOWN),
    }


def _message_id(message: DeadLetteredMessage) -> str:
    return cleaned(message.received.message_id, SHOWN)
