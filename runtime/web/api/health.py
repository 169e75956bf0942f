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
from .rows import BacklogRow, LeaseRow, WorkerRow

log = structlog.get_logger("coremachine.web")
MAX_AGE_SECONDS = 60.0
AUDIT_INTERVAL_SECONDS = 20.0
AUDIT_REST_FACTOR = 10.0
DEAD_LETTER_GAP = next(gap for gap in GAPS if isinstance(gap, GapQuery) and gap.query == "dead_letters")
HealthStatus = Literal["good", "bad", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: what came out, in words, and what to do where it is not well."""

    name: str
    status: HealthStatus
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of the system. `audit_age` is in seconds, None before the first audit has ended."""

    now: datetime
    checks: Sequence[Check]
    workers: Sequence[WorkerRow]
    leases: Sequence[LeaseRow]
    backlog: Sequence[BacklogRow]
    audit: Audit | None
    audit_age: float | None

    @property
    def status(self) -> HealthStatus:
        """Good only where every check is."""
        found = {check.status for check in self.checks}
        return "bad" if "bad" in found else "unknown" if "unknown" in found else "good"


class Auditor:
    """Runs the audit beside the requests: it reads whole tables, and nobody should wait for that."""

    def __init__(self, machine: AsyncCoreMachine) -> None:
        self._machine = machine
        self._running: asyncio.Task[None] | None = None
        self._finished_at: float | None = None
        self._duration = 0.0
        self._failure = ""
        self.audit: Audit | None = None

    @property
    def age(self) -> float | None:
        """How many seconds ago the audit ended."""
        # how long ago something happened in this process: no time that is kept, so not the database's clock
        return None if self._finished_at is None else time.monotonic() - self._finished_at

    @property
    def failure(self) -> str:
        """Why the last audit could not be run; empty where it could."""
        return self._failure

    def refresh(self) -> None:
        """Begin an audit, unless one is under way or the last is young; a slow one rests ten times as long."""
        busy = self._running is not None and not self._running.done()
        rested = self.age is None or self.age >= max(AUDIT_INTERVAL_SECONDS, AUDIT_REST_FACTOR * self._duration)
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
            self._finished_at = time.monotonic()
        self._duration = time.monotonic() - began


async def read_health(machine: AsyncCoreMachine, auditor: Auditor) -> Health:
    """Look at workers, leases and messages now, and at the last audit; another is begun where that is old."""
    auditor.refresh()
    alive = {"alive": alive_within(machine.settings)}
    async with machine.database.session() as session:
        workers = [WorkerRow.of(row) for row in await session.fetch("web/health_workers", alive)]
        leases = [LeaseRow.of(row) for row in await session.fetch("web/health_leases")]
        backlog = [BacklogRow.of(row) for row in await session.fetch("web/health_waiting")]
        (dead,) = await session.fetch("web/health_dead_letters")
    checks = (
        _check_workers(workers, backlog),
        _check_leases(leases, backlog[0].now),
        _check_backlog(backlog),
        _check_dead_letters(dead["letters"]),
        _check_reconcilers(workers),
        _check_audit(auditor),
    )
    return Health(
        now=backlog[0].now,
        checks=checks,
        workers=workers,
        leases=leases,
        backlog=backlog,
        audit=auditor.audit,
        audit_age=auditor.age,
    )


def _check_workers(workers: Sequence[WorkerRow], backlog: Sequence[BacklogRow]) -> Check:
    alive = sum(row.alive for row in workers)
    if alive:
        return Check(name="workers", status="good", detail=f"{alive} alive")
    due = sum(row.due for row in backlog)
    detail = f"none is alive, and {due} could be claimed" if due else "none is alive; nothing waits for one"
    return Check(
        name="workers", status="bad" if due else "good", detail=detail, remedy="coremachine worker --app MODULE"
    )


def _check_backlog(backlog: Sequence[BacklogRow]) -> Check:
    times = [row.oldest for row in backlog if row.oldest is not None]
    if not times:
        return Check(name="outbox age", status="good", detail="nothing waits to be sent or claimed")
    age = (backlog[0].now - min(times)).total_seconds()
    detail = f"the oldest has waited {age:.0f} s to be sent or claimed, {OVERDUE_S:.0f} s are allowed"
    bad = age > OVERDUE_S
    return Check(name="outbox age", status="bad" if bad else "good", detail=detail, remedy="start more workers")


def _check_leases(leases: Sequence[LeaseRow], now: datetime) -> Check:
    tasks = sum(row.tasks for row in leases)
    late = [row.worker for row in leases if now - row.first_ends > timedelta(seconds=UNRESCUED_S)]
    if late:
        detail = f"run out and not rescued: those of {', '.join(late[:5])}"
        return Check(name="leases", status="bad", detail=detail, remedy="start a worker: its reconciler rescues them")
    return Check(name="leases", status="good", detail=f"{tasks} held, none run out for long")


def _check_dead_letters(letters: int) -> Check:
    if not letters:
        return Check(name="dead letters", status="good", detail="none of a job in seven days")
    return Check(name="dead letters", status="bad", detail=f"{letters} in seven days", remedy=DEAD_LETTER_GAP.remedy)


def _check_reconcilers(workers: Sequence[WorkerRow]) -> Check:
    failing = [row.worker for row in workers if row.alive and row.last_error]
    if failing:
        detail = f"failing on {', '.join(failing[:5])}"
        return Check(
            name="reconcilers", status="bad", detail=detail, remedy="see last_error below, and the worker's log"
        )
    return Check(name="reconcilers", status="good", detail="none reports an error")


def _check_audit(auditor: Auditor) -> Check:
    if auditor.failure:
        return Check(name="audit", status="bad", detail=f"it could not be run: {auditor.failure}", remedy="see the log")
    if auditor.audit is None or auditor.age is None:
        return Check(name="audit", status="unknown", detail="the first one is under way")
    detail = f"{len(auditor.audit.checked)} checks, {auditor.age:.0f} s ago"
    if auditor.age > MAX_AGE_SECONDS:
        return Check(name="audit", status="unknown", detail=f"{detail}: too old to go by, another is under way")
    if auditor.audit.trouble:
        found = sum(finding.severity != "info" for finding in auditor.audit.findings)
        return Check(
            name="audit", status="bad", detail=f"{detail}, {found} with findings", remedy="see each one's remedy"
        )
    return Check(name="audit", status="good", detail=f"{detail}, nothing found")
