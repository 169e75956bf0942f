"""Sends queued messages to one queue of a broker: lease, commit, send, confirm.

A relay that dies between two of these steps leaves rows that are due again when its lease on them expires. So a
message is sent at least once, and never before its row is committed.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic

import psycopg
from psycopg_pool import PoolTimeout

from ...statemachine.retry import Backoff
from ..bus.interruption import Interruption
from ..bus.messages import Kind, OutgoingMessage
from ..bus.port import QueueRoute, Sender
from ..errors import BrokerError
from ..logs import logger
from ..store.database import Database
from ..store.session import Row
from ..store.transient import is_row_error
from ..store.turns import turn
from ..store.unclaimable import Unclaimable
from .outbox import SendRequest, SendTimes, confirm_sent, lease_for_send, rows_to_send

log = logger("relay")
LOOK_AHEAD_SECONDS = 5.0
BACKOFF = Backoff(first=0.2, most=10)


class Relay:
    """One for each queue and process, with a separate sender: a queue that is not reachable does not block the others.

    Several processes may run one for the same queue: each row is leased by one of them.
    """

    def __init__(self, database: Database, route: QueueRoute, sender: Sender, times: SendTimes, poll: float) -> None:
        self._database = database
        self._route = route
        self._sender = sender
        self._times = times
        self._poll = poll
        self._woken = asyncio.Event()
        self._unclaimable = Unclaimable(database, f"relay of {route.queue}")
        self._sending = Interruption(
            log, "cannot send messages; trying again", "messages can be sent again", queue=route.queue
        )
        self._send_again = Backoff(first=0.1, most=2)
        self._looked_ahead = float("-inf")
        self._failed_first: float | None = None
        self._failed_last = 0.0

    @property
    def failing(self) -> float | None:
        """For how many seconds sending has failed; None if the last try succeeded.

        The rows do not show it: they are leased again and again, and each time their `due_at` moves ahead.
        """
        return None if self._failed_first is None else monotonic() - self._failed_first

    def wake(self) -> None:
        """Wake it: there may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                self._woken.clear()
                try:
                    with turn():
                        await self._sender.open()  # before there is something to send: connecting takes half a second
                    full = await self._turn()
                except (psycopg.Error, PoolTimeout, BrokerError) as error:
                    await asyncio.sleep(BACKOFF.delay(self._record_failure(error)))
                    continue
                self._sending.succeeded()
                if not full:
                    await self._sleep()
        finally:
            await self._sender.close()

    async def run_once(self) -> int:
        """Send everything that is due now or within the horizon. Returns the number of messages.

        Raises BrokerError if they could not be sent: they stay due.
        """
        sent = 0
        for kind in self._route.types:
            while messages := await self._leased(kind, ahead=True):
                await self._send(kind, messages)
                sent += len(messages)
                if len(messages) < self._times.at_once:
                    break
        return sent

    async def _turn(self) -> bool:
        """Send once of each kind. Returns whether there may be more."""
        ahead = monotonic() - self._looked_ahead >= min(LOOK_AHEAD_SECONDS, self._times.horizon / 2)
        full = False
        if monotonic() - self._failed_last > 2 * self._times.relay_lease:
            self._failed_first = None  # a message that could not be sent would have been leased again since
        for kind in self._route.types:
            messages = await self._leased(kind, ahead=ahead)
            if messages:
                await self._send(kind, messages)
            full = full or len(messages) == self._times.at_once
        if ahead:
            # Looking ahead scans the rows that wait to be sent again, one by one: too slow for each turn.
            self._looked_ahead = monotonic()
        return full

    async def _leased(self, kind: Kind, *, ahead: bool) -> Sequence[OutgoingMessage]:
        request = SendRequest(kind=kind, types=self._route.types[kind], times=self._times, ahead=ahead)

        async def claim(limit: int, without: Sequence[str]) -> Sequence[OutgoingMessage]:
            async with self._database.transaction() as session:
                return await lease_for_send(session, request, limit, without)

        async def due(limit: int, without: Sequence[str]) -> Sequence[Row]:
            async with self._database.session() as session:
                return await rows_to_send(session, request, limit, without)

        return await self._unclaimable.claim(f"send {kind}", self._times.at_once, claim, due)

    async def _send(self, kind: Kind, messages: Sequence[OutgoingMessage]) -> None:
        """Send and confirm; outside any transaction, because a broker may be slow."""
        with turn():
            await self._sent_within_lease(messages)
        self._failed_first = None
        await self._confirm(kind, messages)

    async def _confirm(self, kind: Kind, messages: Sequence[OutgoingMessage]) -> None:
        """Confirm the messages. One that cannot be confirmed is sent again when the relay's lease on it expires."""
        try:
            async with self._database.transaction() as session:
                await confirm_sent(session, kind, messages, self._times)
        except psycopg.Error as error:
            if not is_row_error(error):
                raise
            if len(messages) == 1:
                log.warning("a sent message cannot be confirmed", key=messages[0].ref.key, error=str(error).strip())
                return
            for message in messages:
                await self._confirm(kind, [message])

    async def _sent_within_lease(self, messages: Sequence[OutgoingMessage]) -> None:
        """Try again with the same ids while the relay's lease on the rows lasts. Raises BrokerError."""
        until = monotonic() + self._times.relay_lease / 2
        failures = 0
        while True:
            try:
                return await self._sender.send(messages)
            except BrokerError as error:
                failures += 1
                delay = self._send_again.delay(failures)
                if error.lasting or monotonic() + delay > until:
                    raise
                log.info("sending again", queue=self._route.queue, messages=len(messages), error=str(error))
                await asyncio.sleep(delay)

    def _record_failure(self, error: Exception) -> int:
        self._failed_last = monotonic()
        if self._failed_first is None:
            self._failed_first = self._failed_last
        return self._sending.failed(error)

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._woken.wait()
        except TimeoutError:
            return
