"""Two connections stepped statement by statement, in an order that is given, and every such order in turn.

Each statement, BEGIN, COMMIT and ROLLBACK included, waits at a gate until its lane is stepped. A statement that waits
for a lock of the other lane is noticed by asking the server whom it waits for; then only the other lane can go on.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg.abc import Params, Query
from psycopg.rows import dict_row

from coremachine.runtime.store.database import Database
from coremachine.runtime.store.session import Row, Session

T = TypeVar("T")
ASK_SERVER_AFTER = 0.002
"""Seconds. How long a statement may take before the server is asked about it; it decides nothing."""
LANES = "ab"
WAITS_FOR = b"SELECT %s = ANY(pg_blocking_pids(%s)) AS waits"


class DeadlockError(AssertionError):
    """Both lanes wait for each other."""


class SteppedCursor(psycopg.AsyncCursor[Row]):
    """A cursor that asks its lane before each statement."""

    async def execute(
        self, query: Query, params: Params | None = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Self:
        """Run the statement once it may."""
        await cast("SteppedConnection", self.connection).pass_gate(query)
        return await super().execute(cast("bytes", query), params, prepare=prepare, binary=binary)


class SteppedConnection(psycopg.AsyncConnection[Row]):
    """A connection whose statements wait at `lane`'s gate, while it is in one."""

    lane: "Lane | None" = None

    async def pass_gate(self, query: Query) -> None:
        """Return once the statement may run."""
        if self.lane is not None:
            await self.lane.pass_gate(query)


class SteppedDatabase(Database):
    """A database of one connection, the same one each time, whose transactions are statements like any other."""

    def __init__(self, url: str, connection: SteppedConnection) -> None:
        super().__init__(url)
        self.stepped = connection

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> AsyncGenerator["SteppedDatabase"]:
        """Connected as a worker is, role and all."""
        connection = await SteppedConnection.connect(
            url, autocommit=True, row_factory=cast("Any", dict_row), cursor_factory=cast("Any", SteppedCursor)
        )
        async with connection:
            database = cls(url, connection)
            await database._configure(connection)
            yield database

    @asynccontextmanager
    async def session(self, within: float = inf) -> AsyncGenerator[Session]:  # noqa: ARG002
        """The one connection, each statement a transaction of its own."""
        yield Session(self.stepped, self.schema)

    @asynccontextmanager
    async def transaction(self, within: float = inf) -> AsyncGenerator[Session]:  # noqa: ARG002
        """The one connection inside a transaction."""
        await self.stepped.execute("BEGIN")
        try:
            yield Session(self.stepped, self.schema)
        except BaseException:
            await self.stepped.execute("ROLLBACK")
            raise
        await self.stepped.execute("COMMIT")

    async def commit_once(self, work: Callable[[Session], Awaitable[T]], within: float = inf) -> T:  # noqa: ARG002
        """A transaction that is done once: here no connection is lost."""
        async with self.transaction() as session:
            return await work(session)


class Lane:
    """One of the two: an operation on a connection, standing at its gate, waiting for a lock, or ended."""

    def __init__(self, name: str, connection: SteppedConnection, operation: Awaitable[Any]) -> None:
        self.name = name
        self.connection = connection
        self.pid = connection.info.backend_pid
        self.at = "begin"
        self.blocked = False
        self._permit = asyncio.Event()
        self._stands = asyncio.Event()
        self._free = False
        connection.lane = self
        self.task = asyncio.ensure_future(operation)
        self.task.add_done_callback(lambda _: self._stands.set())

    @property
    def can_go(self) -> bool:
        """Whether it stands at its gate, with a statement to run."""
        return not self.blocked and not self.task.done()

    async def pass_gate(self, query: Query) -> None:
        """Called from within the operation: wait for the permit to run one statement."""
        if self._free:
            return
        self.at = _short(query)
        self._stands.set()
        await self._permit.wait()
        self._permit.clear()

    def go(self) -> None:
        """Let it run to its next gate."""
        self._stands.clear()
        self._permit.set()

    def set_free(self) -> None:
        """Let it run on, past every gate."""
        self._free = True
        self._permit.set()

    async def stands(self, within: float) -> bool:
        """Whether it stands at a gate, or has ended, within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._stands.wait()
        return self._stands.is_set()


@dataclass
class Schedule:
    """The order in which two operations were stepped, and what came of each.

    `order` has a letter for each step, `could` the lanes that could have gone then.
    """

    order: str = ""
    could: list[str] = field(default_factory=list[str])
    steps: list[str] = field(default_factory=list[str])
    results: tuple[Any, ...] = ()

    def switches(self) -> int:
        """How often a lane was left that could have gone on."""
        pairs = zip(self.order, self.order[1:], self.could[1:], strict=False)
        return sum(before != now and before in could for before, now, could in pairs)

    def __str__(self) -> str:
        return "\n".join((f"schedule {self.order}:", *self.steps, f"results: {self.results!r}"))


async def run_schedule(
    databases: Sequence[SteppedDatabase], witness: Session, operations: Sequence[Awaitable[Any]], prefix: str
) -> Schedule:
    """Run two operations in the order of `prefix`, then each as far as it goes. Results may be exceptions.

    Raises DeadlockError where both wait for each other, with both ended all the same.
    """
    schedule = Schedule()
    lanes = {n: Lane(n, db.stepped, op) for n, db, op in zip(LANES, databases, operations, strict=True)}
    try:
        for lane in lanes.values():
            assert await lane.stands(10)
        while any(not lane.task.done() for lane in lanes.values()):
            await _step(schedule, lanes, witness, prefix)
    finally:
        for lane in lanes.values():
            lane.set_free()
        schedule.results = tuple(await asyncio.gather(*(lane.task for lane in lanes.values()), return_exceptions=True))
        for lane in lanes.values():
            lane.connection.lane = None
    return schedule


async def _step(schedule: Schedule, lanes: dict[str, Lane], witness: Session, prefix: str) -> None:
    could = "".join(name for name, lane in lanes.items() if lane.can_go)
    if not could:
        waiting = [f"{lane.name}: {lane.at}" for lane in lanes.values()]
        raise DeadlockError("\n".join((str(schedule), "both wait:", *waiting)))
    at, last = len(schedule.order), schedule.order[-1:]
    name = prefix[at] if at < len(prefix) else last if last and last in could else could[0]
    assert name in could, f"{prefix} is no schedule of these: {schedule}"
    lane = lanes[name]
    schedule.order += name
    schedule.could.append(could)
    schedule.steps.append(f"{name}: {lane.at}")
    lane.go()
    for one in (lane, *(other for other in lanes.values() if other.blocked)):
        other = next(it for it in lanes.values() if it is not one)
        was = one.blocked
        if await _waits_for(witness, one, other) != was:
            schedule.steps.append(f"   {one.name} {'waits for' if one.blocked else 'no longer waits for'} {other.name}")


async def _waits_for(witness: Session, lane: Lane, other: Lane) -> bool:
    """Return once the lane stands (False), or the server says that it waits for the other (True)."""
    while lane.blocked or not await lane.stands(ASK_SERVER_AFTER):
        cursor = await witness.connection.execute(WAITS_FOR, (other.pid, lane.pid))
        row = await cursor.fetchone()
        lane.blocked = row is not None and row["waits"]
        if lane.blocked:
            return True
    return False


async def every_schedule(
    run: Callable[[str], Awaitable[Schedule]], switches: int | None = None, stride: int = 1
) -> AsyncGenerator[Schedule]:
    """Every order of the statements, each once.

    Or those only in which a lane that could go on is left at most `switches` times, at every `stride`-th statement.
    """
    ahead = [""]
    while ahead:
        prefix = ahead.pop()
        schedule = await run(prefix)
        yield schedule
        for at in range(-(-len(prefix) // stride) * stride, len(schedule.order), stride):
            for name in schedule.could[at]:
                other = Schedule(schedule.order[:at] + name, schedule.could[: at + 1])
                if name != schedule.order[at] and (switches is None or other.switches() <= switches):
                    ahead.append(other.order)


def _short(query: Query) -> str:
    text = query.decode() if isinstance(query, bytes) else str(query)
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return " ".join(" ".join(lines).split())[:90]
