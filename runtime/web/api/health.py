"""Health checks. A check is good only if it was run, and recently."""

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
from ...store.database import PATIENCE_SECONDS
from .rows import BacklogRow, LeaseRow, WorkerRow

log = structlog.get_logger("coremachine.web")
MAX_AGE_SECONDS = 60.0
AUDIT_INTERVAL_SECONDS = 20.0
AUDIT_REST_FACTOR = 10.0
DEAD_LETTER_GAP = next(gap for gap in GAPS if isinstance(gap, GapQuery) and gap.query == "dead_letters")
HealthStatus = Literal["good", "bad", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The result of one check, and what to do if it is not good."""

    name: str
    status: HealthStatus
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The health of the system. `audit_age` is in seconds, None before the first audit has finished."""

    now: datetime
    checks: Sequence[CheckResult]
    workers: Sequence[WorkerRow]
    leases: Sequence[LeaseRow]
    backlog: Sequence[BacklogRow]
    audit: Audit | None
    audit_age: float | None

    @property
    def status(self) -> HealthStatus:
        """Good only if all checks are good."""
        found = {check.status for check in self.checks}
        return "bad" if "bad" in found else "unknown" if "unknown" in found else "good"


class Auditor:
    """Runs the audit in the background: it reads whole tables, which takes too long for a request."""

    def __init__(self, machine: AsyncCoreMachine) -> None:
        self._machine = machine
        self._running: asyncio.Task[None] | None = None
        self._finished_at: float | None = None
        self._duration = 0.0
        self._failure = ""
        self.audit: Audit | None = None

    @property
    def age(self) -> float | None:
        """Seconds since the last audit finished."""
        # not the database's clock: an age within this process, which is not stored
        return None if self._finished_at is None else time.monotonic() - self._finished_at

    @property
    def failure(self) -> str:
        """Why the last audit could not be run; empty if it could."""
        return self._failure

    def refresh(self) -> None:
        """Start an audit unless one is running or the last is recent. Audits take at most a tenth of the time."""
        busy = self._running is not None and not self._running.done()
        rested = self.age is None or self.age >= max(AUDIT_INTERVAL_SECONDS, AUDIT_REST_FACTOR * self._duration)
        if not busy and rested:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        began = time.monotonic()
        try:
            self.audit = await self._machine.audit()
        except Exception as error:  # noqa: BLE001 - any error is shown, and the next request starts another audit
            log.error("audit failed", traceback=format_exc())  # noqa: TRY400 - without local variables
            self._failure = f"{type(error).__name__}: {error}"
        else:
            self._failure = ""
            self._finished_at = time.monotonic()
        self._duration = time.monotonic() - began


async def read_health(machine: AsyncCoreMachine, auditor: Auditor) -> Health:
    """Check workers, leases and messages now, and read the last audit. Starts a new audit if it is old."""
    auditor.refresh()
    alive = {"alive": alive_within(machine.settings)}
    async with machine.database.session(PATIENCE_SECONDS) as session:
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


def _check_workers(workers: Sequence[WorkerRow], backlog: Sequence[BacklogRow]) -> CheckResult:
    alive = sum(row.alive for row in workers)
    if alive:
        return CheckResult(name="workers", status="good", detail=f"{alive} online")
    due = sum(row.due for row in backlog)
    detail = f"none online; {due} messages are due" if due else "none online; no message is due"
    return CheckResult(
        name="workers", status="bad" if due else "good", detail=detail, remedy="coremachine worker --app MODULE"
    )


def _check_backlog(backlog: Sequence[BacklogRow]) -> CheckResult:
    times = [row.oldest for row in backlog if row.oldest is not None]
    if not times:
        return CheckResult(name="outbox age", status="good", detail="no message is due")
    age = (backlog[0].now - min(times)).total_seconds()
    detail = f"the oldest message has been due for {age:.0f} s; the limit is {OVERDUE_S:.0f} s"
    bad = age > OVERDUE_S
    return CheckResult(name="outbox age", status="bad" if bad else "good", detail=detail, remedy="start more workers")


def _check_leases(leases: Sequence[LeaseRow], now: datetime) -> CheckResult:
    tasks = sum(row.tasks for row in leases)
    late = [row.worker for row in leases if now - row.first_ends > timedelta(seconds=UNRESCUED_S)]
    if late:
        detail = f"expired and not rescued: {', '.join(late[:5])}"
        return CheckResult(
            name="leases", status="bad", detail=detail, remedy="start a worker; its reconciler rescues the tasks"
        )
    return CheckResult(name="leases", status="good", detail=f"{tasks} held; no overdue rescue")


def _check_dead_letters(letters: int) -> CheckResult:
    if not letters:
        return CheckResult(name="dead letters", status="good", detail="none in the last seven days")
    return CheckResult(
        name="dead letters", status="bad", detail=f"{letters} in the last seven days", remedy=DEAD_LETTER_GAP.remedy
    )


def _check_reconcilers(workers: Sequence[WorkerRow]) -> CheckResult:
    failing = [row.worker for row in workers if row.alive and row.last_error]
    if failing:
        detail = f"failing on {', '.join(failing[:5])}"
        return CheckResult(
            name="reconcilers", status="bad", detail=detail, remedy="see the last error below, and the worker's log"
        )
    return CheckResult(name="reconcilers", status="good", detail="no errors")


def _check_audit(auditor: Auditor) -> CheckResult:
    if auditor.failure:
        return CheckResult(
            name="audit", status="bad", detail=f"could not be run: {auditor.failure}", remedy="see the server's log"
        )
    if auditor.audit is None or auditor.age is None:
        return CheckResult(name="audit", status="unknown", detail="the first audit is running")
    detail = f"{len(auditor.audit.checked)} checks, {auditor.age:.0f} s ago"
    if auditor.age > MAX_AGE_SECONDS:
        return CheckResult(name="audit", status="unknown", detail=f"{detail}; out of date, a new audit is running")
    if auditor.audit.trouble:
        found = sum(finding.severity != "info" for finding in auditor.audit.findings)
        return CheckResult(
            name="audit", status="bad", detail=f"{detail}, {found} with findings", remedy="see the findings below"
        )
    return CheckResult(name="audit", status="good", detail=f"{detail}, no findings")
