"""Every pair of operations on one job, on two connections, their statements in every order.

A test run is a sample: in each schedule one operation that could have gone on is left for the other, once at the most,
after each second statement. COREMACHINE_INTERLEAVINGS=all runs every order there is.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from coremachine.runtime.app import AsyncCoreMachine, audit
from coremachine.runtime.errors import StaleMessageError
from coremachine.runtime.store.session import Row, Session
from coremachine.statemachine.errors import IllegalMoveError, LostRaceError
from tests.databases import url_of
from tests.integration.interleavings.operations import KINDS, SETTLING, Actor, Kind, seen
from tests.integration.interleavings.starts import LADDER, Start, build, put_back
from tests.integration.interleavings.stepper import Schedule, SteppedDatabase, every_schedule, run_schedule
from tests.integration.rows import open_session, run

COMPLETE_RUN = os.environ.get("COREMACHINE_INTERLEAVINGS") == "all"
SAMPLE = {} if COMPLETE_RUN else {"switches": 1, "stride": 2}
LOST = (IllegalMoveError, LostRaceError, StaleMessageError)
CHECKS = ("GAP-9", "GAP-10", "GAP-11", "GAP-12", "GAP-17", "GAP-18", "GAP-19")
BATCH = 2
"""A batch takes both tasks of a start: its partner has the second, or the one under the later lease."""
KIND = {kind.name: kind for kind in KINDS}
PAIRS = [pytest.param(*pair, id=f"{pair[0].name}-{pair[1].name}") for pair in combinations_with_replacement(KINDS, 2)]

ENDED_TWICE = """
SELECT stage, task_id, count(*) FILTER (WHERE event_type IN ('task_resumed', 'stage_resumed')) AS resumed,
       count(*) FILTER (WHERE event_type ~ '_(completed|failed|cancelled)$') AS ended
FROM {schema}.job_events WHERE stage IS NOT NULL AND event_type ~ '^(task|stage)_' GROUP BY stage, task_id
HAVING count(*) FILTER (WHERE event_type ~ '_(completed|failed|cancelled)$')
     > 1 + count(*) FILTER (WHERE event_type IN ('task_resumed', 'stage_resumed'))
"""
EVENTS = "SELECT * FROM {schema}.job_events WHERE event_id > %(after)s ORDER BY event_id"


@dataclass
class Arena:
    """Two stepped connections, the owner's, and an application to look with, on one database."""

    app: AsyncCoreMachine
    owner: Session
    routes: tuple[SteppedDatabase, SteppedDatabase]


@pytest.fixture(scope="module")
def arena_url(server: str, template: str) -> Iterator[str]:
    """The URL of a database for all pairs: each schedule puts every row of it back."""
    name = f"interleavings_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(make.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield url_of(server, name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arena(arena_url: str) -> AsyncIterator[Arena]:
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(AsyncCoreMachine(arena_url, jobs=[LADDER]))
        owner = await stack.enter_async_context(open_session(arena_url))
        left = await stack.enter_async_context(SteppedDatabase.connected(arena_url))
        right = await stack.enter_async_context(SteppedDatabase.connected(arena_url))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        # they are the same each time, and take longer to make than all the checks
        for name in ("digests", "guard_names"):
            patch.setattr(audit, name, cache(getattr(audit, name)))
        yield Arena(app, owner, (left, right))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("left", "right"), PAIRS)
async def test_two_operations_on_one_job_keep_its_invariants_in_every_order(
    arena: Arena, left: Kind, right: Kind
) -> None:
    ran: Counter[str] = Counter()
    both_settle = {left.name, right.name} <= SETTLING
    names = [*left.starts, *right.starts, *(["reclaimed"] if both_settle else [])]
    names = [name for name in names if all(kind.elsewhere or name in kind.starts for kind in (left, right))]
    for name in dict.fromkeys(names):
        start = await build(arena.app, arena.owner, name)
        if len(start.held) < max(left.holds, right.holds):
            continue
        alone = max(left.holds, right.holds) < BATCH
        for second in (0, -1) if both_settle and alone and len(start.held) > 1 else (0 if alone else -1,):
            ran[name] += len(await every_order(arena, start, (left, right), second))
    print(f"{left.name} and {right.name}: {dict(ran)} schedules")  # noqa: T201 - the count is part of the proof
    assert ran
    assert all(ran.values())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", KIND["open"].starts)
async def test_f03_f07_two_job_messages_at_once_open_a_stage_once(arena: Arena, name: str) -> None:
    start = await build(arena.app, arena.owner, name)
    for schedule in await every_order(arena, start, (KIND["open"], KIND["open"]), 0):
        assert list(schedule.results).count(Counter({"opened": 1})) == 1, str(schedule)


async def every_order(arena: Arena, start: Start, pair: tuple[Kind, Kind], second: int) -> list[Schedule]:
    """Run every order of the pair from `start`, the second on the task `second` of the start.

    Raises AssertionError, with the schedule, for the first that breaks an invariant.
    """

    async def run_one(prefix: str) -> Schedule:
        await put_back(arena.owner)
        tasks = (start.held[0], start.held[second]) if start.held else (None, None)
        made = [
            kind.run(Actor(name, route, start, task))
            for kind, name, route, task in zip(pair, "ab", arena.routes, tasks, strict=True)
        ]
        return await run_schedule(arena.routes, arena.owner, made, prefix)

    ran: list[Schedule] = []
    async for schedule in every_schedule(run_one, **SAMPLE):
        ran.append(schedule)
        wrong = [*await wrongs(arena, start, schedule)]
        assert not wrong, f"{pair[0].name} and {pair[1].name} from {start.name}: {wrong}\n{schedule}"
    return ran


async def wrongs(arena: Arena, start: Start, schedule: Schedule) -> list[object]:
    """What is not as it must be after a schedule."""
    found: list[object] = [*(await arena.app.audit(CHECKS)).findings]
    found += await run(arena.owner, ENDED_TWICE)
    said: Counter[str] = Counter()
    for result in schedule.results:
        if isinstance(result, Counter):
            said += result
        elif not isinstance(result, LOST):
            found.append(result)
    events: list[Row] = await run(arena.owner, EVENTS, {"after": start.last_event})
    told = seen(events)
    for word in set(said) - {"cancelled", "asked to stop"} | set(told):
        if said[word] != told[word]:
            found.append(f"{word}: said {said[word]} times, told by {told[word]} events")
    return found
