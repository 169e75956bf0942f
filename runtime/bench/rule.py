"""The price of the rules: guards, the state ⇔ event rule, the events themselves, and the machine in Python.

The same statements run on schemas that differ in one thing each, in alternation, with no worker around them: beside a
worker's own work each share would look smaller.
"""

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from statistics import median

from ...statemachine.lifecycles import TASK
from ...statemachine.machine import Subject, machine_of
from ..app import AsyncCoreMachine
from ..settings import Settings
from ..store.queries import query
from .ceiling import Ceiling, ceiling
from .place import place
from .surroundings import surroundings
from .told import ToldBy

FIRED = 20_000


@dataclass(frozen=True, slots=True)
class Variant:
    """A schema without some of its rules."""

    name: str
    dropped: tuple[str, ...] = ()
    told_by: ToldBy = "database"


FULL = Variant("all rules")
UNGUARDED = Variant("no guards", ("drop_guards",))
UNRULED = Variant("no guards, events told by the client", ("drop_guards", "drop_event_rule"), "client")
UNTOLD = Variant("no guards, no events", ("drop_guards", "drop_event_rule"), "nobody")
VARIANTS = (FULL, UNGUARDED, UNRULED, UNTOLD)


async def rule(settings: Settings, *, tasks: int, runs: int) -> dict[str, object]:
    """Run each variant `runs` times with `tasks` tasks on one connection. Returns what `bench rule --json` prints."""
    measured: dict[Variant, list[Ceiling]] = {variant: [] for variant in VARIANTS}
    async with AsyncExitStack() as stack:
        apps: dict[Variant, AsyncCoreMachine] = {}
        for variant in VARIANTS:
            apps[variant] = await stack.enter_async_context(place(settings))
            await _drop(apps[variant], variant)
        where = await surroundings(apps[FULL].database)
        for app in apps.values():
            await ceiling(app, 1000, 1)
        for _ in range(runs):
            for variant, app in apps.items():
                measured[variant].append(await ceiling(app, tasks, 1, variant.told_by))
    return {
        "benchmark": "rule",
        "tasks": tasks,
        "runs": runs,
        "variants": {variant.name: _told(found, measured[FULL]) for variant, found in measured.items()},
        "rules_share_of_throughput": _share(measured[UNRULED], measured[FULL]),
        "guards_share_of_throughput": _share(measured[UNGUARDED], measured[FULL]),
        "events_share_of_throughput": _share(measured[UNTOLD], measured[UNRULED]),
        "transitions_us_per_move": transitions_cost(),
        "where": asdict(where),
    }


def transitions_cost() -> float:
    """Microseconds that firing a task's completion takes in Python."""
    machine = machine_of(TASK)
    values: Mapping[str, object] = {"lease_number": 1, "result": "1"}
    began = time.process_time()
    for _ in range(FIRED):
        machine.fire(Subject("1", "processing"), "complete", values, {"worker": "bench"})
    return round((time.process_time() - began) * 1_000_000 / FIRED, 2)


async def _drop(app: AsyncCoreMachine, variant: Variant) -> None:
    async with await app.database.connection("bench") as owner:
        for name in variant.dropped:
            await owner.execute(query(f"bench/{name}", app.database.schema))


def _share(without: list[Ceiling], full: list[Ceiling]) -> dict[str, float | None]:
    """How much less goes through than `without` a rule, run by run: by the clock, and by the server's processor."""
    pairs = list(zip(without, full, strict=True))
    spent = [(a.server_us_per_task, b.server_us_per_task) for a, b in pairs]
    known = [1 - a / b for a, b in spent if a is not None and b is not None]
    return {
        "by_clock": round(median(1 - b.tasks_per_second / a.tasks_per_second for a, b in pairs), 3),
        "by_processor": round(median(known), 3) if known else None,
    }


def _told(found: list[Ceiling], full: list[Ceiling]) -> dict[str, object]:
    speeds = [one.tasks_per_second for one in found]
    spent = [one.server_us_per_task for one in found if one.server_us_per_task is not None]
    return {
        "tasks_per_second": round(median(speeds), 1),
        "spread": [round(min(speeds), 1), round(max(speeds), 1)],
        "server_us_per_task": round(median(spent), 1) if spent else None,
        "beside_all_rules": round(median(a / b.tasks_per_second for a, b in zip(speeds, full, strict=True)), 3),
    }
