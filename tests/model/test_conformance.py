"""The model and the runtime agree: random ways through the model, done on a real database, row by row.

COREMACHINE_TRACES says how many ways are tried (default: 12), COREMACHINE_TRACES_SEED where they begin.
"""

import os
from collections import Counter
from random import Random

import pytest

from tests.databases import OpenApp
from tests.integration.rows import open_session
from tests.model.actions import Action, actions
from tests.model.deeds import after
from tests.model.replay import Replay, job_of
from tests.model.state import State, World
from tests.model.told import foretold

TRACES = int(os.environ.get("COREMACHINE_TRACES", "12"))
SEED = int(os.environ.get("COREMACHINE_TRACES_SEED", "1"))
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
    """What happens next: mostly something that brings the job on, now and then a fault or a late arrival."""
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
        way.append(" ".join(str(one) for one in action if one not in {-1, ""}))
        done[f"{action.name} {action.how}".strip()] += 1
        await replay.do(action)
        replay.keep(state.workers)
        assert await replay.rows() == foretold(state), "\n".join(way)
