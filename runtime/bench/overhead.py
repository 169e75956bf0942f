"""The overhead of the rules: guards, the state ⇔ event rule, the events themselves, and the machine in Python.

The same statements run on schemas that differ in one thing each, in alternation, with no worker around them. Measured
with a worker's own work, each share would look smaller.
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
from .environment import read_environment
from .event_writer import EventWriter
from .scratch_schema import scratch_schema
from .upper_bound import UpperBound, measure_upper_bound

FIRINGS = 20_000


@dataclass(frozen=True, slots=True)
class Variant:
    """A schema without some of its rules."""

    name: str
    dropped: tuple[str, ...] = ()
    writer: EventWriter = "database"


ALL_RULES = Variant("all rules")
NO_GUARDS = Variant("no guards", ("drop_guards",))
CLIENT_EVENTS = Variant("no guards, events written by the client", ("drop_guards", "drop_event_rule"), "client")
NO_EVENTS = Variant("no guards, no events", ("drop_guards", "drop_event_rule"), "nobody")
VARIANTS = (ALL_RULES, NO_GUARDS, CLIENT_EVENTS, NO_EVENTS)


async def overhead(settings: Settings, *, tasks: int, runs: int) -> dict[str, object]:
    """Run each variant `runs` times with `tasks` tasks on one connection. Returns the report of `bench overhead`."""
    measured: dict[Variant, list[UpperBound]] = {variant: [] for variant in VARIANTS}
    async with AsyncExitStack() as stack:
        apps: dict[Variant, AsyncCoreMachine] = {}
        for variant in VARIANTS:
            apps[variant] = await stack.enter_async_context(scratch_schema(settings))
            await _drop(apps[variant], variant)
        environment = await read_environment(apps[ALL_RULES].database)
        for app in apps.values():
            await measure_upper_bound(app, 1000, 1)
        for _ in range(runs):
            for variant, app in apps.items():
                measured[variant].append(await measure_upper_bound(app, tasks, 1, variant.writer))
    return {
        "benchmark": "overhead",
        "tasks": tasks,
        "runs": runs,
        "variants": {variant.name: _summary(found, measured[ALL_RULES]) for variant, found in measured.items()},
        "rules_share_of_throughput": _share(measured[CLIENT_EVENTS], measured[ALL_RULES]),
        "guards_share_of_throughput": _share(measured[NO_GUARDS], measured[ALL_RULES]),
        "events_share_of_throughput": _share(measured[NO_EVENTS], measured[CLIENT_EVENTS]),
        "transitions_us_per_move": transitions_cost(),
        "where": asdict(environment),
    }


def transitions_cost() -> float:
    """Microseconds that firing a task's completion takes in Python."""
    machine = machine_of(TASK)
    values: Mapping[str, object] = {"lease_number": 1, "result": "1"}
    began = time.process_time()
    for _ in range(FIRINGS):
        machine.fire(Subject("1", "processing"), "complete", values, {"worker": "bench"})
    return round((time.process_time() - began) * 1_000_000 / FIRINGS, 2)


async def _drop(app: AsyncCoreMachine, variant: Variant) -> None:
    async with await app.database.connection("bench") as owner:
        for name in variant.dropped:
            await owner.execute(query(f"bench/{name}", app.database.schema))


def _share(without: list[UpperBound], full: list[UpperBound]) -> dict[str, float | None]:
    """The share of throughput that a rule costs, run by run: by the clock, and by the server's processor."""
    pairs = list(zip(without, full, strict=True))
    spent = [(a.server_us_per_task, b.server_us_per_task) for a, b in pairs]
    known = [1 - a / b for a, b in spent if a is not None and b is not None]
    return {
        "by_clock": round(median(1 - b.tasks_per_second / a.tasks_per_second for a, b in pairs), 3),
        "by_processor": round(median(known), 3) if known else None,
    }


def _summary(found: list[UpperBound], full: list[UpperBound]) -> dict[str, object]:
    speeds = [one.tasks_per_second for one in found]
    spent = [one.server_us_per_task for one in found if one.server_us_per_task is not None]
    return {
        "tasks_per_second": round(median(speeds), 1),
        "spread": [round(min(speeds), 1), round(max(speeds), 1)],
        "server_us_per_task": round(median(spent), 1) if spent else None,
        "beside_all_rules": round(median(a / b.tasks_per_second for a, b in zip(speeds, full, strict=True)), 3),
    }
