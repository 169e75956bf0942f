"""The model and the runtime agree: random paths through the model, done on a real database, row by row.

COREMACHINE_TRACES is the number of paths (default: 12), COREMACHINE_BATCHES the number of batches, each on a new job
(default: 24), COREMACHINE_TRACES_SEED the seed of both.
"""

import os
from collections import Counter, deque
from random import Random

import pytest

from tests.databases import OpenApp
from tests.integration.rows import open_session
from tests.model.actions import Action, actions
from tests.model.apply import after
from tests.model.batches import Sight, batches
from tests.model.replay import Replay, job_of
from tests.model.rows import predicted_rows
from tests.model.state import State, World, canonical

TRACES = int(os.environ.get("COREMACHINE_TRACES", "12"))
SEED = int(os.environ.get("COREMACHINE_TRACES_SEED", "1"))
BATCHES = int(os.environ.get("COREMACHINE_BATCHES", "24"))
STATES = 1500
LONGEST = 60
WORLDS = [
    World(max_rescues=3, cancels=1, resumes=1, finalizer_fails=True, policy=policy, deadline=True, timeouts=timeouts)
    for policy, timeouts in (("fail_fast", False), ("finish_siblings", True))
]
NEVER = {"repost", "close counted"}
FAIRNESS = 0.7
IN_THE_END = {"pass deadline", "pass timeout"}
"""What happens sooner or later, and would cut short whatever else may happen first."""
LIKELY = {"completed": 8, "fails": 0.3, "pass deadline": 0.1, "end overdue job": 0.3}
WANTED = {
    *("claim", "see", "handle", "settle", "stale", "late", "expire", "rescue", "crash", "cancel", "resume", "renew"),
    *("pass", "end"),
}


def chosen(world: World, state: State, random: Random) -> Action | None:
    """What happens next: mostly something that moves the job on, sometimes a fault or a late arrival."""
    open_to = [one for one in actions(world, state) if one.name not in NEVER]
    fair = [one for one in open_to if one.fair and one.name not in IN_THE_END]
    faults = [one for one in open_to if one not in fair]
    if not fair and not any(one.name == "resume" for one in faults):
        return None
    some = fair if fair and random.random() < FAIRNESS else faults or fair
    names = sorted({one.name for one in some})
    name = random.choices(names, [LIKELY.get(one, 1) for one in names])[0]
    of_that = [one for one in some if one.name == name]
    return random.choices(of_that, [LIKELY.get(one.how, 1) for one in of_that])[0]


BATCHED = [
    World(stages=1, tasks=2, max_rescues=3, policy="fail_fast", losses=False),
    World(stages=1, tasks=2, max_rescues=3, timeouts=True, policy="finish_siblings", losses=False),
]


@pytest.mark.parametrize("world", BATCHED, ids=lambda world: world.policy)
async def test_a_batch_leads_where_the_model_says_in_each_state_of_a_stage(
    open_app: OpenApp, url: str, world: World
) -> None:
    """Each batch of the first states is done by the runtime in one transaction, on a new job."""
    job, differ, done = job_of(world), list[str](), 0
    app = await open_app(job)
    async with open_session(url) as session:
        for way, batch, reached in some_batches(world):
            replay, state = Replay(app, session, job, world), world.start()
            await replay.submit(f"batch {done}")
            for action in (*way, batch):
                await replay.do(action)
                state = after(world, state, action)
                replay.keep(state.workers)
            done += 1
            assert state == reached, "the way to a batch is not the one that it was found by"
            if await replay.rows() != predicted_rows(state):
                differ.append(", ".join(description(one) for one in (*way, batch)))
    print(f"{done} batches")  # noqa: T201 - the count is part of the proof
    assert not differ, f"{len(differ)} of {done}:\n" + "\n".join(differ)


def some_batches(world: World) -> list[tuple[tuple[Action, ...], Action, State]]:
    """A sample of the batches in the first states of `world`, each with a shortest way to where it can come."""
    found: list[tuple[tuple[Action, ...], Action, State]] = []
    tried: set[Sight] = set()
    ahead: deque[tuple[State, tuple[Action, ...]]] = deque([(world.start(), ())])
    known = {canonical(world.start())}
    while ahead and len(known) < STATES:
        state, way = ahead.popleft()
        if state.stages[0].status in world.ends["stage"]:
            continue
        found += [(way, batch, after(world, state, batch)) for batch in batches(world, state, tried)]
        for action in actions(world, state):
            reached = after(world, state, action)
            if canonical(reached) not in known and action.name not in NEVER:
                known.add(canonical(reached))
                ahead.append((reached, (*way, action)))
    return Random(f"{SEED}").sample(found, min(BATCHES, len(found)))  # noqa: S311 - no secret


def description(action: Action) -> str:
    """An action in a line."""
    return " ".join(str(one) for one in action[:5] if one not in {-1, ""})


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.policy)
async def test_random_ways_through_the_model_are_those_of_the_database(
    open_app: OpenApp, url: str, world: World
) -> None:
    job, done = job_of(world), Counter[str]()
    app = await open_app(job)
    async with open_session(url) as session:
        for trace in range(TRACES):
            await replayed(Replay(app, session, job, world), trace, done)
    print(f"{sum(done.values())} steps: {dict(done)}")  # noqa: T201 - the count is part of the proof
    assert {name.split()[0] for name in done} >= WANTED
    assert done["claim callback"]


async def replayed(replay: Replay, trace: int, done: Counter[str]) -> None:
    """Go one random way, and compare the rows after each step."""
    random, world = Random(f"{SEED}-{trace}-{replay.world.policy}"), replay.world  # noqa: S311 - no secret
    await replay.submit(f"{trace}")
    state, way = world.start(), ["submitted"]
    while len(way) < LONGEST and (action := chosen(world, state, random)) is not None:
        state = after(world, state, action)
        way.append(description(action))
        done[f"{action.name} {action.how}".strip()] += 1
        await replay.do(action)
        replay.keep(state.workers)
        assert await replay.rows() == predicted_rows(state), "\n".join(way)
