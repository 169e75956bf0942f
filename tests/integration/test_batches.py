"""A batch of outcomes leads to what its outcomes lead to one after the other, whatever meets in it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.flow.record_outcomes import record_outcomes
from coremachine.runtime.flow.rescue import rescue_tasks
from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.rows import ClaimedTask
from coremachine.statemachine.machine import Move
from coremachine.statemachine.tables import TASKS
from tests.databases import OpenApp
from tests.integration.lost_worker import handle_messages
from tests.observing import counted_events, rows, tasks_of

SCENARIOS = 36
COPIES = ("batch", "fold")
KINDS = ("completed", "failed", "hopeless", "released", "cancelled", "expired", "overdue")


@task(retries=1)
def part(number: int) -> int:
    return number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


STRICT = Job("strict", [Stage("part", part, each="numbers"), Stage("total", total, gather="part")])
PATIENT = Job(
    "patient",
    [Stage("part", part, each="numbers", policy="finish_siblings"), Stage("total", total, gather="part")],
)
Place = tuple[int, int]
"""A job and a task of it, by their numbers."""


@dataclass
class Ground:
    """Jobs with open stages, twice: `tasks` are as they were claimed, by copy, place and lease number."""

    jobs: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    tasks: dict[tuple[str, Place, int], ClaimedTask] = field(default_factory=dict[tuple[str, Place, int], ClaimedTask])

    @property
    def places(self) -> list[Place]:
        """Every task that was claimed."""
        return sorted({place for copy, place, _ in self.tasks if copy == COPIES[0]})

    def leases(self, place: Place) -> list[int]:
        """The lease numbers under which a task was claimed."""
        return [lease for copy, at, lease in self.tasks if copy == COPIES[0] and at == place]

    def keep(self, claimed: Sequence[ClaimedTask]) -> None:
        """Note what was claimed."""
        of = {job_id: at for at, job_id in self.jobs.items()}
        for one in claimed:
            if one.job_id not in of:
                continue  # an earlier scenario's
            copy, number = of[one.job_id]
            self.tasks[copy, (number, one.task_index), one.lease_number] = one


async def claim(app: AsyncCoreMachine) -> list[ClaimedTask]:
    """Claim all that is due."""
    async with app.database.session() as session:
        wanted = Claim(record=TASKS, types=["part"], limit=100, owner="me", lease=600.0)
        return [ClaimedTask(**row) for row in await claim_due(session, wanted)]


async def lose(app: AsyncCoreMachine, ground: Ground, places: Sequence[Place]) -> None:
    """The leases of these tasks run out, and they are queued again."""
    newest = [ground.tasks[copy, place, max(ground.leases(place))] for copy in COPIES for place in places]
    await expire(app, newest)
    await rescue_tasks(app.database, app.bus, newest, "me")


async def expire(app: AsyncCoreMachine, tasks: Sequence[ClaimedTask]) -> None:
    past = "UPDATE app.tasks SET lease_expires_at = app.clock() - interval '1 second' WHERE status = 'processing'"
    past += " AND task_id = ANY(%s)"
    await rows(app, past, [one.key for one in tasks])


async def lay(app: AsyncCoreMachine, name: str, chance: Random) -> Ground:
    """Up to three jobs, some of whose tasks were lost and claimed again, lost once more, or expired."""
    ground = Ground()
    shapes = [(chance.choice((STRICT, PATIENT)), chance.randint(1, 4)) for _ in range(chance.randint(1, 3))]
    for copy in COPIES:
        for number, (job, tasks) in enumerate(shapes):
            submitted = await app.submit(job, key=f"{name} {copy} {number}", numbers=list(range(tasks)))
            ground.jobs[copy, number] = submitted.id
    await handle_messages(app)
    ground.keep(await claim(app))
    lost = [place for place in ground.places if chance.random() < 0.5]
    await lose(app, ground, lost)
    ground.keep(await claim(app))
    await lose(app, ground, [place for place in lost if chance.random() < 0.2])
    expired = [place for place in ground.places if chance.random() < 0.3]
    await expire(app, [ground.tasks[copy, place, 1] for copy in COPIES for place in expired])
    return ground


def outcome_of(task: ClaimedTask, kind: str) -> Outcome:
    """The end of an attempt."""
    error = {"type": "Boom", "message": "boom"}
    match kind:
        case "completed":
            return Outcome(task=task, kind="completed", result="1")
        case "failed" | "hopeless":
            return Outcome(task=task, kind="failed", error=error, retryable=kind == "failed")
        case "released":
            return Outcome(task=task, kind="released", reason="worker stopping")
        case "cancelled":
            return Outcome(task=task, kind="cancelled")
        case "expired":
            return Outcome(task=task, kind="expired")
        case _:
            return Outcome(task=task, kind="overdue")


async def standing(app: AsyncCoreMachine, ground: Ground, copy: str) -> list[object]:
    """All that may differ: rows and events, by place."""
    found: list[object] = []
    for (of, number), job_id in sorted(ground.jobs.items()):
        if of != copy:
            continue
        row = await app.job(job_id)
        counters = ("status", "tasks_total", "tasks_open", "tasks_completed", "tasks_failed", "tasks_cancelled")
        found += [(number, row["status"])]
        found += [tuple(stage[name] for name in counters) for stage in row["stages"]]
        found += [
            (one["task_index"], one["status"], one["attempt"], one["rescues"], one["lease_number"])
            for one in await tasks_of(app, job_id)
        ]
        events = await counted_events(app, job_id)
        del events["stop_requested"]  # a note where some still run: in a batch their ends may come with the failure
        found.append(events)
    return found


@pytest.mark.parametrize("part_of_all", range(3))
async def test_f48_a_batch_leads_to_what_its_outcomes_lead_to_one_after_the_other(
    open_app: OpenApp, part_of_all: int
) -> None:
    app = await open_app(STRICT, PATIENT)
    met: Counter[str] = Counter()
    for seed in range(part_of_all, SCENARIOS, 3):
        chance = Random(seed)  # noqa: S311 - no secret
        ground = await lay(app, str(seed), chance)
        drawn = [(place, chance.choice(ground.leases(place)), chance.choice(KINDS)) for place in ground.places * 2]
        chance.shuffle(drawn)
        won: dict[str, set[str]] = {copy: set() for copy in COPIES}
        made = {
            copy: [outcome_of(ground.tasks[copy, place, lease], kind) for place, lease, kind in drawn]
            for copy in COPIES
        }
        async with app.database.transaction() as session:
            won["batch"] = await record_outcomes(session, app.bus, made["batch"], "me")
        for outcome in made["fold"]:
            async with app.database.transaction() as session:
                won["fold"] |= await record_outcomes(session, app.bus, [outcome], "me")
        batch, fold = [await standing(app, ground, copy) for copy in COPIES]
        assert batch == fold, f"seed {seed}: {drawn}"
        assert len(won["batch"]) == len(won["fold"])
        met.update(kind for _, _, kind in drawn)
        met["won"] += len(won["batch"])
        await rows(
            app,
            "UPDATE app.jobs SET due_at = NULL, lease_owner = NULL, lease_expires_at = NULL"
            " WHERE status = 'processing' AND due_at IS NOT NULL",
        )
    assert met["won"] > SCENARIOS / 3
    assert set(KINDS) <= set(met)


async def test_an_outcome_of_a_job_that_was_retired_is_no_error(open_app: OpenApp) -> None:
    app = await open_app(STRICT)
    ground = await lay(app, "retired", Random(1))  # noqa: S311 - no secret
    (gone, *_), *_ = (list(ground.tasks.values()),)
    outcomes = [outcome_of(gone._replace(key="no-such", job_id="f" * 64, stage_id=-1), kind) for kind in KINDS]
    async with app.database.transaction() as session:
        assert await record_outcomes(session, app.bus, outcomes, "me") == set()


async def test_two_moves_of_one_row_are_refused_in_one_statement(open_app: OpenApp) -> None:
    app = await open_app(STRICT)
    moves = [Move("task", "complete", "1-0", "processing", "completed", {}, None)] * 2
    async with app.database.session() as session:
        with pytest.raises(ValueError, match="two moves of one row in one statement"):
            await session.apply(TASKS, moves)
