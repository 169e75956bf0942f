"""Whether all is well. Nothing is taken for well that was not looked at, and that a short time ago."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from traceback import format_exc
from typing import Literal

import structlog

from ....statemachine.register import GAPS, GapQuery
from ...app import AsyncCoreMachine
from ...app.audit import OVERDUE_S, UNRESCUED_S, Audit, alive_within
from ...store.session import Row

log = structlog.get_logger("coremachine.web")
GOOD_FOR = 60.0
AGAIN_AFTER = 20.0
REST = 10.0
DEAD_LETTERS = next(gap for gap in GAPS if isinstance(gap, GapQuery) and gap.query == "dead_letters")
Verdict = Literal["good", "bad", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: what came out, in words, and what to do where it is not well."""

    name: str
    verdict: Verdict
    words: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of the system. `audit_age` is in seconds, None before the first audit has ended."""

    now: datetime
    checks: Sequence[Check]
    workers: Sequence[Row]
    leases: Sequence[Row]
    waiting: Sequence[Row]
    audit: Audit | None
    audit_age: float | None

    @property
    def verdict(self) -> Verdict:
        """Good only where every check is."""
        found = {check.verdict for check in self.checks}
        return "bad" if "bad" in found else "unknown" if "unknown" in found else "good"


class Auditor:
    """Runs the audit beside the requests: it reads whole tables, and nobody should wait for that."""

    def __init__(self, machine: AsyncCoreMachine) -> None:
        self._machine = machine
        self._running: asyncio.Task[None] | None = None
        self._ended: float | None = None
        self._took = 0.0
        self._failure = ""
        self.audit: Audit | None = None

    @property
    def age(self) -> float | None:
        """How many seconds ago the audit ended."""
        # how long ago something happened in this process: no time that is kept, so not the database's clock
        return None if self._ended is None else time.monotonic() - self._ended

    @property
    def failure(self) -> str:
        """Why the last audit could not be run; empty where it could."""
        return self._failure

    def ask(self) -> None:
        """Begin an audit, unless one is under way or the last is young; a slow one rests ten times as long."""
        busy = self._running is not None and not self._running.done()
        rested = self.age is None or self.age >= max(AGAIN_AFTER, REST * self._took)
        if not busy and rested:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        began = time.monotonic()
        try:
            self.audit = await self._machine.audit()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the next request begins another
            log.error("the audit failed", traceback=format_exc())  # noqa: TRY400 - without local variables
            self._failure = f"{type(error).__name__}: {error}"
        else:
            self._failure = ""
            self._ended = time.monotonic()
        self._took = time.monotonic() - began


async def read_health(machine: AsyncCoreMachine, auditor: Auditor) -> Health:
    """Look at workers, leases and messages now, and at the last audit; another is begun where that is old."""
    auditor.ask()
    alive = {"alive": alive_within(machine.settings)}
    async with machine.database.session() as session:
        workers = await session.fetch("web/health_workers", alive)
        leases = await session.fetch("web/health_leases")
        waiting = await session.fetch("web/health_waiting")
        (dead,) = await session.fetch("web/health_dead_letters")
    checks = (
        _workers(workers, waiting),
        _leases(leases, waiting[0]["now"]),
        _waiting(waiting),
        _dead_letters(dead["letters"]),
        _reconcilers(workers),
        _audited(auditor),
    )
    return Health(
        now=waiting[0]["now"],
        checks=checks,
        workers=workers,
        leases=leases,
        waiting=waiting,
        audit=auditor.audit,
        audit_age=auditor.age,
    )


def _workers(workers: Sequence[Row], waiting: Sequence[Row]) -> Check:
    alive = sum(row["alive"] for row in workers)
    if alive:
        return Check(name="workers", verdict="good", words=f"{alive} alive")
    due = sum(row["due"] for row in waiting)
    words = f"none is alive, and {due} could be claimed" if due else "none is alive; nothing waits for one"
    return Check(
        name="workers", verdict="bad" if due else "good", words=words, remedy="coremachine worker --app MODULE"
    )


def _waiting(waiting: Sequence[Row]) -> Check:
    times = [row["oldest"] for row in waiting if row["oldest"] is not None]
    if not times:
        return Check(name="outbox age", verdict="good", words="nothing waits to be sent or claimed")
    age = (waiting[0]["now"] - min(times)).total_seconds()
    words = f"the oldest has waited {age:.0f} s to be sent or claimed, {OVERDUE_S:.0f} s are allowed"
    bad = age > OVERDUE_S
    return Check(name="outbox age", verdict="bad" if bad else "good", words=words, remedy="start more workers")


def _leases(leases: Sequence[Row], now: datetime) -> Check:
    tasks = sum(row["tasks"] for row in leases)
    late = [row["worker"] for row in leases if now - row["first_ends"] > timedelta(seconds=UNRESCUED_S)]
    if late:
        words = f"run out and not rescued: those of {', '.join(late[:5])}"
        return Check(name="leases", verdict="bad", words=words, remedy="start a worker: its reconciler rescues them")
    return Check(name="leases", verdict="good", words=f"{tasks} held, none run out for long")


def _dead_letters(letters: int) -> Check:
    if not letters:
        return Check(name="dead letters", verdict="good", words="none of a job in seven days")
    return Check(name="dead letters", verdict="bad", words=f"{letters} in seven days", remedy=DEAD_LETTERS.remedy)


def _reconcilers(workers: Sequence[Row]) -> Check:
    failing = [row["worker"] for row in workers if row["alive"] and row["last_error"]]
    if failing:
        words = f"failing on {', '.join(failing[:5])}"
        return Check(
            name="reconcilers", verdict="bad", words=words, remedy="see last_error below, and the worker's log"
        )
    return Check(name="reconcilers", verdict="good", words="none reports an error")


def _audited(auditor: Auditor) -> Check:
    if auditor.failure:
        return Check(name="audit", verdict="bad", words=f"it could not be run: {auditor.failure}", remedy="see the log")
    if auditor.audit is None or auditor.age is None:
        return Check(name="audit", verdict="unknown", words="the first one is under way")
    words = f"{len(auditor.audit.checked)} checks, {auditor.age:.0f} s ago"
    if auditor.age > GOOD_FOR:
        return Check(name="audit", verdict="unknown", words=f"{words}: too old to go by, another is under way")
    if auditor.audit.trouble:
        found = sum(finding.severity != "info" for finding in auditor.audit.findings)
        return Check(
            name="audit", verdict="bad", words=f"{words}, {found} with findings", remedy="see each one's remedy"
        )
    return Check(name="audit", verdict="good", words=f"{words}, nothing found")
